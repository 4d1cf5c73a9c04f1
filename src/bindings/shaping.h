// The same elements in another shape: views wherever NumPy makes views.
#pragma once
#include "call.h"

namespace raptors {

// which 0: the method, 1: the function
RAPTORS_NATIVE(reshape_native);
RAPTORS_NATIVE(transpose_native);

// a.T
PyObject* reversed_axes(PyObject* self);

}  // namespace raptors
