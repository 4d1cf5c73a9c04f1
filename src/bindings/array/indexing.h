// a[...] and a[...] = v: integers, slices, Ellipsis, newaxis, names of fields, masks, arrays and
// lists of integers.
#pragma once
#include "python/signature.h"

namespace raptors {

extern Entry *getitem_entry, *setitem_entry;
PyObject* get_item(PyObject* self,
                   PyObject* key);  // exact raptors.ndarray; nullptr without error: declined
// 0: done;  1: declined, nothing is written;  -1: an error is set.
int set_item(PyObject* self, PyObject* key, PyObject* value);
// The item of a sequence: a[at], counted nowhere. nullptr without an error: declined.
PyObject* get_sequence_item(PyObject* self, Py_ssize_t at);
void init_indexing();

}  // namespace raptors
