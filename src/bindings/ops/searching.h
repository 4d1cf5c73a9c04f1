// Where elements are: nonzero, flatnonzero, argwhere. Indices of several axes: unravel_index,
// ravel_multi_index.
#pragma once
#include "python/signature.h"

namespace raptors {

enum class Places { nonzero, flat, rows };  // nonzero, flatnonzero, argwhere

RAPTORS_NATIVE(nonzero_native);  // which: a Places
RAPTORS_NATIVE(unravel_index_native);
RAPTORS_NATIVE(ravel_multi_index_native);

// flatnonzero(mask) and nonzero(mask), of an exact array of booleans with axes. nullptr without an
// error: declined.
PyObject* flat_positions(PyObject* mask);
PyObject* positions_by_axis(PyObject* mask);

}  // namespace raptors
