// Elements where a mask of booleans is true: a[mask], a[mask] = values, copyto(where=), place ...
#pragma once
#include "array/index_key.h"

namespace raptors {

RAPTORS_NATIVE(compress_native);  // which 1: extract, of any number of axes
RAPTORS_NATIVE(copyto_native);
RAPTORS_NATIVE(place_native);
RAPTORS_NATIVE(putmask_native);

// How many of a mask's elements are true; they are one run.
npy_intp count_true(const Fields* mask);
// The elements of f where the mask is true become the values, of the same dtype; both are
// broadcast. False: declined, since their shapes do not go with that of f.
bool copy_where(const Fields* f, const Fields* mask, const Fields* values);

// a[mask], of a mask of the array's shape. nullptr without an error: declined.
PyObject* compressed(Entry* entry, PyObject* self, PyObject* mask);
// a[mask] = value, as set_item.
int assign_masked(const Fields* f, PyObject* mask, PyObject* value);

}  // namespace raptors
