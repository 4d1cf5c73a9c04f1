// Elements by their indices: take, a[indices], a[indices] = values.
#pragma once
#include "array/views.h"

namespace raptors {

RAPTORS_NATIVE(take_native);
RAPTORS_NATIVE(put_native);

// The part of an array that an index selects.
struct Selection : View {
    bool element;          // all axes given by integers: a scalar
    PyObject* indices;     // an array of integers, borrowed, that selects along
    int indexed;           // this axis; nullptr: none
    pybind11::object own;  // keeps indices that were made of several
};

// Declines an assignment.
inline int refuse_item(Why why) {
    declined = why;
    return 1;
}

// Integers and arrays of integers, one for each of the n axes of a selection from `first` on,
// become one array along one axis: part.indices. False: declined, or an error is set.
bool combine_indices(PyObject* const* items, int first, int n, Selection& part);
// A list of integers as an array. Null: declined, or an error is set.
pybind11::object index_list(PyObject* list);
// What part.indices select, in new memory. nullptr without an error: declined.
PyObject* selected(PyObject* self, const Selection& part);
// They become `value`, as set_item.
int put_selected(PyObject* self, const Selection& part, PyObject* value);

}  // namespace raptors
