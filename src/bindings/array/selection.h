// Elements by their indices: take, a[indices], a[indices] = values.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(take_native);

// The part of an array that an index selects.
struct Selection {
    char* data;
    int nd;
    npy_intp dims[NPY_MAXDIMS];
    npy_intp strides[NPY_MAXDIMS];
    bool element;       // all axes given by integers: a scalar
    PyObject* indices;  // an array of integers, borrowed, that selects along
    int indexed;        // this axis; nullptr: none
};

// A list of integers as an array. Null: declined.
pybind11::object index_list(PyObject* list);
// What part.indices select, in new memory. nullptr without an error: declined.
PyObject* selected(PyObject* self, const Selection& part);
// They become `value`. 0: done;  1: declined, nothing is written;  -1: an error is set.
int put_selected(PyObject* self, const Selection& part, PyObject* value);

}  // namespace raptors
