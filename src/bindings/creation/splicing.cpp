#include "creation/splicing.h"

#include <algorithm>
#include <cstring>

#include "array/free_lists.h"
#include "array/selection.h"
#include "creation/copying.h"
#include "creation/from_shape.h"
#include "creation/shaping.h"
#include "ops/searching.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const delete_signature = {2, 2, {"obj", "axis"}, {}};
Signature const insert_signature = {3, 3, {"obj", "values", "axis"}, {}};

// An array and the axis along which something is done to it; of no axis all elements in C order.
struct Along {
    py::object array;
    const Fields* f;
    int axis;
};

// False: declined, or an error is set.
bool read_along(PyObject* self, PyObject* axis, Along& along) {
    if (!is_exact(self)) return refuse(Why::type);
    Fields const* const f = fields(self);
    if (!is_movable(f->descr)) return refuse(Why::dtype);
    npy_intp at = 0;
    bool const all = is_none(axis);
    if (!f->nd || !count_of(f) || (!all && !parse_axis(axis, f->nd, &at)))
        return refuse(Why::shape);
    along.array =
        py::reinterpret_steal<py::object>(all && f->nd != 1 ? raveled(self) : new_ref(self));
    if (!along.array) return false;
    along.f = fields(along.array.ptr());
    along.axis = static_cast<int>(at);
    return true;
}

// An empty array of another length along the axis.
py::object with_length(const Along& along, npy_intp length) {
    npy_intp dims[NPY_MAXDIMS];
    std::copy(along.f->dimensions, along.f->dimensions + along.f->nd, dims);
    dims[along.axis] = length;
    return py::reinterpret_steal<py::object>(new_array_as(along.f, dims));
}

// Copies n of the array's places along the axis.
void copy_part(const Along& along, npy_intp from, npy_intp n, PyObject* out, npy_intp to) {
    if (n == 0) return;
    Fields const *const f = along.f, *const o = fields(out);
    npy_intp dims[NPY_MAXDIMS];
    std::copy(f->dimensions, f->dimensions + f->nd, dims);
    dims[along.axis] = n;
    move_elements(f->nd, dims, f->data + from * f->strides[along.axis], f->strides,
                  o->data + to * o->strides[along.axis], o->strides, PyDataType_ELSIZE(f->descr));
}

// Without the places from `first` to `end`.
PyObject* without(const Along& along, npy_intp first, npy_intp end) {
    npy_intp const n = along.f->dimensions[along.axis];
    py::object out = with_length(along, n - (end - first));
    if (!out) return nullptr;
    copy_part(along, 0, first, out.ptr(), 0);
    copy_part(along, end, n - end, out.ptr(), first);
    return out.release().ptr();
}

py::object all_kept(npy_intp n) {
    auto keep = py::reinterpret_steal<py::object>(new_array(1, &n, descr_of(DType::boolean)));
    if (keep) std::memset(fields(keep.ptr())->data, 1, static_cast<size_t>(n));
    return keep;
}

// For each place of n whether it stays: those do not that a mask or indices name. Null: declined,
// or an error is set.
py::object places_kept(PyObject* x, npy_intp n) {
    py::object keep = all_kept(n);
    if (!keep) return {};
    char* const kept = fields(keep.ptr())->data;
    declined = Why::index;
    if (is_mask(x)) {
        Fields const* const mask = fields(x);
        if (mask->nd != 1 || mask->dimensions[0] != n) return {};
        for (npy_intp i = 0; i < n; ++i) kept[i] = mask->data[i * mask->strides[0]] == 0;
        return keep;
    }
    // One index alone NumPy takes for an integer.
    if (!is_exact(x) || !PyTypeNum_ISINTEGER(fields(x)->descr->type_num) || count_of(fields(x)) < 2)
        return {};
    py::object const indices = as_indices(x, false);
    if (!indices) return {};
    Fields const* const f = fields(indices.ptr());
    auto const* const at = reinterpret_cast<const int64_t*>(f->data);
    for (npy_intp i = 0; i < count_of(f); ++i) {
        npy_intp const place = at[i] < 0 ? at[i] + n : at[i];
        if (place < 0 || place >= n) return {};
        kept[place] = 0;
    }
    return keep;
}

// As an index along the axis selects.
PyObject* selected_along(const Along& along, PyObject* keep) {
    Fields const* const f = along.f;
    Selection part;
    part.data = f->data;
    part.nd = f->nd;
    std::copy(f->dimensions, f->dimensions + f->nd, part.dims);
    std::copy(f->strides, f->strides + f->nd, part.strides);
    part.element = part.permuted = part.backwards = false;
    part.c_order = true;
    part.indexed = along.axis;
    part.indices = py::reinterpret_steal<py::object>(flat_positions(keep));
    return part.indices ? selected(along.array.ptr(), part) : nullptr;
}

}  // namespace

PyObject* delete_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                        PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!delete_signature.parse(args, nargs, kwnames, slots) || !slots[0])
        return decline(Why::keyword);
    Along along;
    if (!read_along(self, slots[1], along)) return nullptr;
    npy_intp const n = along.f->dimensions[along.axis];
    PyObject* const which = slots[0];
    if (PySlice_Check(which)) {
        Py_ssize_t start, stop, step;
        if (PySlice_Unpack(which, &start, &stop, &step) < 0) return nullptr;
        Py_ssize_t const gone = PySlice_AdjustIndices(n, &start, &stop, step);
        if (gone <= 0) return counted(entry, without(along, 0, 0));
        if (step < 0) {
            start += (gone - 1) * step;
            step = -step;
        }
        if (step == 1) return counted(entry, without(along, start, start + gone));
        // Of several axes the result lies in another way than what an index selects.
        if (along.f->nd != 1) return decline(Why::index);
        py::object const keep = all_kept(n);
        if (!keep) return nullptr;
        char* const kept = fields(keep.ptr())->data;
        for (Py_ssize_t i = 0; i < gone; ++i) kept[start + i * step] = 0;
        return counted(entry, selected_along(along, keep.ptr()));
    }
    npy_intp at;
    if (PyLong_CheckExact(which)) {
        if (!parse_integer(which, &at) || at < -n || at >= n) return decline(Why::index);
        at += at < 0 ? n : 0;
        return counted(entry, without(along, at, at + 1));
    }
    py::object const keep = places_kept(which, n);
    return keep ? counted(entry, selected_along(along, keep.ptr())) : nullptr;
}

PyObject* insert_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                        PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!insert_signature.parse(args, nargs, kwnames, slots) || !slots[0] || !slots[1])
        return decline(Why::keyword);
    Along along;
    if (!read_along(self, slots[2], along)) return nullptr;
    Fields const* const f = along.f;
    PyObject* const value = slots[1];
    bool const is_array = is_exact(value);
    npy_intp const n = f->dimensions[along.axis], given = is_array ? count_of(fields(value)) : 1;
    if (f->nd != 1 || !given || (is_array && fields(value)->nd > 1)) return decline(Why::shape);
    npy_intp at, length;
    if (!PyLong_CheckExact(slots[0]) || !parse_integer(slots[0], &at) || at < -n || at > n)
        return decline(Why::index);
    at += at < 0 ? n : 0;
    if (__builtin_add_overflow(n, given, &length)) return decline(Why::shape);
    py::object const out = with_length(along, length);
    if (!out) return nullptr;
    Fields const* const o = fields(out.ptr());
    int const done = assign(o->data + at * o->strides[0], 1, &given, o->strides, f->descr, value);
    if (done) return done < 0 ? nullptr : decline(Why::value);
    copy_part(along, 0, at, out.ptr(), 0);
    copy_part(along, at, n - at, out.ptr(), at + given);
    return counted(entry, new_ref(out.ptr()));
}

}  // namespace raptors
