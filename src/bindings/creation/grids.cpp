#include "creation/grids.h"

#include <algorithm>
#include <cstring>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/copying.h"
#include "creation/from_shape.h"
#include "python/operand.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const grid_signature = {3, 0, {"copy", "sparse", "indexing"}, {}};
Signature const indices_signature = {3, 3, {"dimensions", "dtype", "sparse"}, {}};
Signature const pad_signature = {3, 2, {"pad_width", "mode", "constant_values"}, {}};

// Copies n elements along `axis` of memory in C order, again for all places along the others.
void copy_along(const Fields* from, int nd, const npy_intp* dims, int axis, char* to) {
    npy_intp const size = PyDataType_ELSIZE(from->descr);
    npy_intp strides[NPY_MAXDIMS] = {}, to_strides[NPY_MAXDIMS];
    if (from->nd) strides[axis] = from->strides[0];
    npy_intp step = size;
    for (int d = nd - 1; d >= 0; --d) {
        to_strides[d] = step;
        step *= dims[d];
    }
    if (step) move_elements(nd, dims, from->data, strides, to, to_strides, size);
}

}  // namespace

PyObject* meshgrid_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                          PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!grid_signature.parse(args + nargs, 0, kwnames, slots) ||
        (slots[0] && slots[0] != Py_True) || (slots[1] && slots[1] != Py_False))
        return decline(Why::keyword);
    bool const by_columns = !slots[2] || is_text(slots[2], "xy");
    if (!by_columns && !is_text(slots[2], "ij")) return decline(Why::keyword);
    if (!nargs || nargs > NPY_MAXDIMS) return decline(Why::shape);
    auto const nd = static_cast<int>(nargs);
    // With the first two axes exchanged where x is counted before y.
    auto const axis_of = [&](int i) { return by_columns && nd > 1 && i < 2 ? 1 - i : i; };
    npy_intp dims[NPY_MAXDIMS];
    for (int i = 0; i < nd; ++i) {
        if (!is_exact(args[i])) return decline(Why::type);
        Fields const* const f = fields(args[i]);
        if (f->nd > 1 || !is_movable(f->descr)) return decline(Why::shape);
        dims[axis_of(i)] = f->nd ? f->dimensions[0] : 1;
    }
    auto out = py::reinterpret_steal<py::object>(PyTuple_New(nd));
    if (!out) return nullptr;
    for (int i = 0; i < nd; ++i) {
        PyObject* const one = new_array(nd, dims, fields(args[i])->descr);
        if (!one) return nullptr;
        PyTuple_SET_ITEM(out.ptr(), i, one);
        copy_along(fields(args[i]), nd, dims, axis_of(i), fields(one)->data);
    }
    Fields const* const f = fields(args[0]);
    count_native(entry, f);
    return out.release().ptr();
}

PyObject* indices_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                         PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!indices_signature.parse(args, nargs, kwnames, slots) || !slots[0] ||
        (slots[2] && slots[2] != Py_False))
        return decline(Why::keyword);
    npy_intp dims[NPY_MAXDIMS];
    int nd;
    if (!is_sequence(slots[0]) || !parse_shape(slots[0], &nd, dims + 1) || !nd || nd == NPY_MAXDIMS)
        return decline(Why::shape);
    npy_intp longest = 0;
    for (int d = 1; d <= nd; ++d) {
        if (dims[d] < 0) return decline(Why::shape);
        longest = std::max(longest, dims[d]);
    }
    dims[0] = nd;
    PyArray_Descr* descr = descr_of(DType::int64);
    if (slots[1] && slots[1] != reinterpret_cast<PyObject*>(&PyLong_Type)) {
        descr = parse_dtype(slots[1]);
        if (!descr) return nullptr;
    }
    DType const t = dtype_of(descr);
    if (t != DType::int64 && t != DType::float64) return decline(Why::dtype);
    PyObject* const out = new_array(nd + 1, dims, descr);
    auto const numbers = py::reinterpret_steal<py::object>(new_array(1, &longest, descr));
    if (!out || !numbers) {
        Py_XDECREF(out);
        return nullptr;
    }
    Fields const *const o = fields(out), *const n = fields(numbers.ptr());
    Element first{}, step{};
    store_int(py::int_(1).ptr(), t, step);
    active().table->arange[index(t)](first, step, n->data, longest);
    for (int d = 0; d < nd; ++d) copy_along(n, nd, dims + 1, d, o->data + d * o->strides[0]);
    return counted(entry, out);
}

namespace {

// How many places come before and behind each axis: n, (before, behind), or a pair for each axis.
bool parse_widths(PyObject* x, int nd, npy_intp (*widths)[2]) {
    auto const pair = [](PyObject* p, npy_intp* two) {
        if (parse_integer(p, two)) {
            two[1] = two[0];
            return two[0] >= 0;
        }
        return is_sequence(p) && PySequence_Fast_GET_SIZE(p) == 2 &&
               parse_integer(PySequence_Fast_GET_ITEM(p, 0), two) &&
               parse_integer(PySequence_Fast_GET_ITEM(p, 1), two + 1) && two[0] >= 0 && two[1] >= 0;
    };
    npy_intp all[2];
    if (pair(x, all)) {
        for (int d = 0; d < nd; ++d) std::copy(all, all + 2, widths[d]);
        return true;
    }
    if (!is_sequence(x) || PySequence_Fast_GET_SIZE(x) != nd) return false;
    for (int d = 0; d < nd; ++d) {
        PyObject* const one = PySequence_Fast_GET_ITEM(x, d);
        if (!is_sequence(one) || !pair(one, widths[d])) return false;
    }
    return true;
}

// The places before and behind along axis d of a part of an array that begins at `at`.
void fill_border(const Fields* f, int d, const npy_intp* widths, const npy_intp* part, char* at,
                 Element& value, npy_intp size) {
    npy_intp dims[NPY_MAXDIMS], again[NPY_MAXDIMS] = {};
    std::copy(part, part + f->nd, dims);
    char* const behind = at + (part[d] - widths[1]) * f->strides[d];
    for (int side = 0; side < 2; ++side) {
        dims[d] = widths[side];
        if (PyArray_MultiplyList(dims, f->nd))
            move_elements(f->nd, dims, value, again, side ? behind : at, f->strides, size);
    }
}

}  // namespace

PyObject* pad_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                     PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!pad_signature.parse(args, nargs, kwnames, slots) || !slots[0] ||
        (slots[1] && !is_text(slots[1], "constant")))
        return decline(Why::keyword);
    if (!is_exact(self)) return decline(Why::type);
    Fields const* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (t == no_dtype) return decline(Why::dtype);
    npy_intp widths[NPY_MAXDIMS][2], dims[NPY_MAXDIMS];
    if (!f->nd || !parse_widths(slots[0], f->nd, widths)) return decline(Why::shape);
    Element value{};
    if (slots[2] && (is_exact(slots[2]) || !scalar_element(slots[2], t, value)))
        return decline(Why::value);
    for (int d = 0; d < f->nd; ++d)
        if (__builtin_add_overflow(f->dimensions[d], widths[d][0], dims + d) ||
            __builtin_add_overflow(dims[d], widths[d][1], dims + d))
            return decline(Why::shape);
    // In few bytes the border costs more than all of them.
    constexpr npy_intp few_bytes = 8192;
    PyObject* out = new_array_as(f, dims);
    if (!out) return nullptr;
    Fields const* const o = fields(out);
    bool const few = count_of(o) * item_size(t) <= few_bytes;
    if (few) out = filled(out, value);
    char* inside = o->data;
    for (int d = 0; d < f->nd; ++d) {
        if (!few) fill_border(o, d, widths[d], dims, inside, value, item_size(t));
        inside += widths[d][0] * o->strides[d];
        dims[d] = f->dimensions[d];
    }
    if (count_of(f))
        move_elements(f->nd, f->dimensions, f->data, f->strides, inside, o->strides, item_size(t));
    return counted(entry, out);
}

}  // namespace raptors
