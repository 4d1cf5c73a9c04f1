// The same elements in another shape: views wherever NumPy makes views.
#pragma once
#include "python/signature.h"

namespace raptors {

// which 0: the method, 1: the function
RAPTORS_NATIVE(reshape_native);
RAPTORS_NATIVE(transpose_native);
RAPTORS_NATIVE(swapaxes_native);
RAPTORS_NATIVE(squeeze_native);
RAPTORS_NATIVE(ravel_native);

RAPTORS_NATIVE(flatten_native);
RAPTORS_NATIVE(expand_dims_native);
RAPTORS_NATIVE(broadcast_to_native);

// a.T
PyObject* reversed_axes(PyObject* self);
// The elements in C order, in new memory.
PyObject* flattened(PyObject* self);
// The same as a view, where there is one; of at least one element.
PyObject* raveled(PyObject* self);
// A C-contiguous array of at least one element in another shape of as many elements: a view.
PyObject* reshaped(PyObject* self, int nd, const npy_intp* dims);

}  // namespace raptors
