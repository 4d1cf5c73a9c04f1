// The one home of single arguments: what a parameter's value means. False, where nothing else is
// said: NumPy judges. Absent is nullptr.
#pragma once
#include "python/array.h"

namespace raptors {

inline bool is_none(PyObject* x) { return !x || x == Py_None; }
// An exact list or tuple.
inline bool is_sequence(PyObject* x) { return PyList_CheckExact(x) || PyTuple_CheckExact(x); }
// This very text.
inline bool is_text(PyObject* x, const char* text) {
    return PyUnicode_CheckExact(x) && PyUnicode_CompareWithASCIIString(x, text) == 0;
}

// A Python int that fits.
bool parse_integer(PyObject* x, npy_intp* value);
// True or False; absent means False.
bool parse_flag(PyObject* x, bool* flag);

// A shape: an int, or a tuple or list of them.
bool parse_shape(PyObject* shape, int* nd, npy_intp* dims);
// One shape, or its numbers one by one.
bool parse_shape(PyObject* const* args, Py_ssize_t nargs, int* nd, npy_intp* dims);

// Axes of `nd`: the negative ones are counted from the end. False: one is out of range, or given
// twice.
inline bool wrap_axes(int nd, int n, npy_intp* axes) {
    uint64_t seen = 0;
    for (int i = 0; i < n; ++i) {
        if (axes[i] < 0) axes[i] += nd;
        if (axes[i] < 0 || axes[i] >= nd || seen >> axes[i] & 1) return false;
        seen |= uint64_t{1} << axes[i];
    }
    return true;
}
// An axis of `nd`.
inline bool parse_axis(PyObject* x, int nd, npy_intp* axis) {
    return parse_integer(x, axis) && wrap_axes(nd, 1, axis);
}
// One axis, or a tuple or list of them, in their order.
bool parse_axes(PyObject* axes, int nd, int* n, npy_intp* values);
// Whether each axis is among them: one axis, or a tuple; None means all.
bool parse_axes(PyObject* axes, int nd, bool among[]);

// The instance of a dtype that has kernels, borrowed; None means float64. nullptr: declined, or an
// error is set.
PyArray_Descr* parse_dtype(PyObject* dtype);
// The same; None leaves *descr as it is. False: declined, or an error is set.
bool parse_dtype(PyObject* dtype, PyArray_Descr** descr);

// None or "C".
bool is_c_order(PyObject* order);
// NumPy's orders of elements in memory: 'C', 'F', 'A' (any) and 'K' (keep).
enum class Order { c, fortran, any, keep };
// Absent leaves *to as it is.
bool parse_order(PyObject* order, Order* to);

// The one output of a ufunc, which may be in a tuple; nullptr: none is given. Another tuple is
// returned as it is.
inline PyObject* single_output(PyObject* out) {
    if (out && PyTuple_CheckExact(out) && PyTuple_GET_SIZE(out) == 1)
        out = PyTuple_GET_ITEM(out, 0);
    return is_none(out) ? nullptr : out;
}

}  // namespace raptors
