// Arrays from nothing and from other arrays: empty, zeros, ones, asarray, copy, astype, fill,
// reshape, transpose, clip, where.
#pragma once
#include "call.h"

namespace raptors {

#define RAPTORS_NATIVE(name)                                                       \
    PyObject* name(int which, Entry* entry, PyObject* self, PyObject* const* args, \
                   Py_ssize_t nargs, PyObject* kwnames)
RAPTORS_NATIVE(empty_native);
RAPTORS_NATIVE(zeros_native);
RAPTORS_NATIVE(ones_native);
RAPTORS_NATIVE(asarray_native);  // which 1: ascontiguousarray
RAPTORS_NATIVE(copy_native);     // which 0: the method (order='C'), 1: the function (order='K')
RAPTORS_NATIVE(astype_native);
RAPTORS_NATIVE(reshape_native);    // which 0: the method, 1: the function
RAPTORS_NATIVE(transpose_native);  // which 0: the method, 1: the function
RAPTORS_NATIVE(clip_native);       // which 0: the method, 1: the function
RAPTORS_NATIVE(where_native);
#undef RAPTORS_NATIVE

// A new C-ordered array with the elements of an exact array whose dtype has kernels.
PyObject* c_ordered(PyObject* self);
// a.T
PyObject* reversed_axes(PyObject* self);
// a.fill(value): 0 done, 1 declined, -1 error
int fill(PyObject* self, PyObject* value);
// Copies `from` into memory of the given shape and strides (same shape, after broadcasting `from`);
// both exact arrays with kernels and no floating-point event possible. 0 done, 1 declined, -1
// error.
int assign(char* data, int nd, const npy_intp* dims, const npy_intp* strides, DType t,
           PyObject* from);

}  // namespace raptors
