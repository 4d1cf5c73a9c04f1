// Arrays from other objects: asarray, copy, astype, fill, assignment.
#pragma once
#include "call.h"

namespace raptors {

RAPTORS_NATIVE(asarray_native);  // which 1: ascontiguousarray
RAPTORS_NATIVE(copy_native);     // which 0: the method (order='C'), 1: the function (order='K')
RAPTORS_NATIVE(astype_native);

// A new C-ordered array with the elements of an exact array whose dtype has kernels.
PyObject* c_ordered(PyObject* self);
// a.fill(value): 0 done, 1 declined, -1 error
int fill(PyObject* self, PyObject* value);
// Copies `from` into memory of the given shape and strides (same shape, after broadcasting `from`);
// both exact arrays with kernels and no floating-point event possible. 0 done, 1 declined, -1
// error.
int assign(char* data, int nd, const npy_intp* dims, const npy_intp* strides, DType t,
           PyObject* from);

}  // namespace raptors
