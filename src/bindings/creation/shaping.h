// The same elements in another shape, in C order: a view where there is one, else new memory.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(reshape_native);  // which 0: the method, 1: the function
RAPTORS_NATIVE(ravel_native);
RAPTORS_NATIVE(flatten_native);

// The elements in C order, in new memory.
PyObject* flattened(PyObject* self);
// The same as a view, where there is one; of at least one element.
PyObject* raveled(PyObject* self);
// A C-contiguous array of at least one element in another shape of as many elements: a view.
PyObject* reshaped(PyObject* self, int nd, const npy_intp* dims);
// An array of at least one element in another shape of as many, in C order: a view where there is
// one, else new memory. nullptr without an error: declined.
PyObject* in_shape(PyObject* self, int nd, const npy_intp* dims);

}  // namespace raptors
