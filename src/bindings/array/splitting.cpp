#include "array/splitting.h"

#include <algorithm>

#include "array/free_lists.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const sections_signature = {2, 2, {"indices_or_sections", "axis"}, {}};
Signature const unstack_signature = {1, 0, {"axis"}, {}};

// The places from `start` to `end`, as a slice reads them.
PyObject* part(PyObject* self, int axis, Py_ssize_t start, Py_ssize_t end) {
    Fields const* const f = fields(self);
    npy_intp dims[NPY_MAXDIMS];
    std::copy(f->dimensions, f->dimensions + f->nd, dims);
    dims[axis] = PySlice_AdjustIndices(f->dimensions[axis], &start, &end, 1);
    char* const data = f->data + (dims[axis] ? start * f->strides[axis] : 0);
    return new_view(self, f->nd, dims, f->strides, data, f->descr);
}

// `n` parts as equal as can be, the longer ones first.
PyObject* in_sections(PyObject* self, int axis, npy_intp n) {
    npy_intp const length = fields(self)->dimensions[axis], least = length / n, longer = length % n;
    auto parts = py::reinterpret_steal<py::object>(PyList_New(n));
    if (!parts) return nullptr;
    npy_intp start = 0;
    for (npy_intp i = 0; i < n; ++i) {
        npy_intp const end = start + least + (i < longer);
        PyObject* const one = part(self, axis, start, end);
        if (!one) return nullptr;
        PyList_SET_ITEM(parts.ptr(), i, one);
        start = end;
    }
    return parts.release().ptr();
}

// Parts that end before each of the indices. nullptr without an error: one is no Python int.
PyObject* at_indices(PyObject* self, int axis, PyObject* indices) {
    Py_ssize_t const n = PySequence_Fast_GET_SIZE(indices);
    auto parts = py::reinterpret_steal<py::object>(PyList_New(n + 1));
    if (!parts) return nullptr;
    npy_intp start = 0, end = 0;
    for (Py_ssize_t i = 0; i <= n; ++i) {
        if (i == n)
            end = fields(self)->dimensions[axis];
        else if (!parse_integer(PySequence_Fast_GET_ITEM(indices, i), &end))
            return decline(Why::index);
        PyObject* const one = part(self, axis, start, end);
        if (!one) return nullptr;
        PyList_SET_ITEM(parts.ptr(), i, one);
        start = end;
    }
    return parts.release().ptr();
}

}  // namespace

PyObject* split_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                       Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    auto const kind = static_cast<Split>(which);
    PyObject* slots[max_parameters];
    if (!is_ours(self) || !sections_signature.parse(args, nargs, kwnames, slots) || !slots[0] ||
        (slots[1] && kind > Split::split))
        return decline(Why::keyword);
    Fields const* const f = fields(self);
    npy_intp axis = kind == Split::columns ? f->nd > 1 : kind == Split::depth ? 2 : 0;
    int const least = kind == Split::rows ? 2 : kind == Split::depth ? 3 : 1;
    if (f->nd < least || (slots[1] && !parse_axis(slots[1], f->nd, &axis)))
        return decline(Why::shape);
    PyObject* out;
    npy_intp sections;
    if (parse_integer(slots[0], &sections)) {
        bool const equal = kind != Split::array_split;
        if (sections < 1 || (equal && f->dimensions[axis] % sections)) return decline(Why::shape);
        out = in_sections(self, static_cast<int>(axis), sections);
    } else {
        if (!is_sequence(slots[0])) return decline(Why::type);
        out = at_indices(self, static_cast<int>(axis), slots[0]);
    }
    if (out) count_native(entry, f);
    return out;
}

PyObject* unstack_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                         PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!is_ours(self) || !unstack_signature.parse(args, nargs, kwnames, slots))
        return decline(Why::keyword);
    Fields const* const f = fields(self);
    npy_intp axis = 0;
    // Of one axis the items are scalars.
    if (f->nd < 2 || (slots[0] && !parse_axis(slots[0], f->nd, &axis))) return decline(Why::shape);
    npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS];
    for (int d = 0, to = 0; d < f->nd; ++d) {
        if (d == axis) continue;
        dims[to] = f->dimensions[d];
        strides[to++] = f->strides[d];
    }
    auto parts = py::reinterpret_steal<py::object>(PyTuple_New(f->dimensions[axis]));
    if (!parts) return nullptr;
    for (npy_intp i = 0; i < f->dimensions[axis]; ++i) {
        PyObject* const one =
            new_view(self, f->nd - 1, dims, strides, f->data + i * f->strides[axis], f->descr);
        if (!one) return nullptr;
        PyTuple_SET_ITEM(parts.ptr(), i, one);
    }
    count_native(entry, f);
    return parts.release().ptr();
}

}  // namespace raptors
