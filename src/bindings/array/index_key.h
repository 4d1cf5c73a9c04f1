// What an index selects: its integers, slices, arrays of integers and masks as one Selection.
#pragma once
#include "array/views.h"

namespace raptors {

// The part of an array that an index selects.
struct Selection : View {
    bool element;              // all axes given by integers: a scalar
    pybind11::object indices;  // an array of integers that selects along
    int indexed;               // this axis; null: none
    bool permuted;             // the axes of the indices are those of the result in another order:
    int order[NPY_MAXDIMS];    // this one
    bool c_order;              // NumPy goes through the indices in C order, whatever is assigned
    bool backwards;            // along an axis perhaps backwards
};

enum class Parsed { yes, no, error };

// no: declined. `keep`: where nothing else is selected, indices are gone through as they lie in
// memory, which is how NumPy lays out what it gets.
Parsed parse_key(const Fields* f, PyObject* key, bool keep, Selection& part);
// One element along `axis` for each index, at the indices' own places along the other axes. False:
// declined, or an error is set.
bool select_along(const Fields* f, int axis, PyObject* indices, bool keep, Selection& part);
// The element that an integer for each axis selects. nullptr: the key is no such one, or out of
// range.
char* locate(const Fields* f, PyObject* key);

// Integers as indices: of NumPy's index type, contiguous; with `truth` booleans, too. Null:
// declined, or an error is set.
pybind11::object as_indices(PyObject* x, bool truth);

// A list or tuple of lists and others has arrays of integers for its lists. Null: declined, or an
// error is set.
bool has_lists(PyObject* key);
pybind11::object without_lists(PyObject* key);

// An array of booleans with axes.
bool is_mask(PyObject* key);

}  // namespace raptors
