// What __array_ufunc__ and __array_function__ are, looked up on the type raptors.ndarray: ours, or
// NumPy's defaults.
#pragma once
#include "python/array.h"

namespace raptors {

// Whether the look-up of the protocol `name` on raptors.ndarray that is running is to find NumPy's
// default. See protocols.cpp for who gets which.
bool finds_default(PyObject* name);

}  // namespace raptors
