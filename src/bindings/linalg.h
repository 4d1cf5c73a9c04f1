// Products of vectors, by NumPy's own function for the dtype: its BLAS, and so its bits.
#pragma once
#include "call.h"

namespace raptors {

// The product of two vectors. nullptr without an error: declined.
PyObject* dot_of_vectors(Entry* entry, PyObject* a, PyObject* b);

enum class Dot : int { dot, inner, vdot };
RAPTORS_NATIVE(dot_native);  // which: a Dot
RAPTORS_NATIVE(norm_native);

}  // namespace raptors
