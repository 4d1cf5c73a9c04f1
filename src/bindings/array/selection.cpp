#include "array/selection.h"

#include "array/free_lists.h"
#include "creation/from_objects.h"
#include "creation/shaping.h"
#include "frame/run/take.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const take_signature = {4, 4, {"indices", "axis", "out", "mode"}, {}};
constexpr double move_cost = 0.6, byte_cost = 0.03;  // nanoseconds for an element, for its bytes

// Integers as indices: of NumPy's index type, contiguous. Null: declined, or an error is set.
py::object as_indices(PyObject* x) {
    bool const number = is_sequence(x) || PyLong_CheckExact(x);
    auto found = py::reinterpret_steal<py::object>(
        number        ? PyArray_FromAny(x, nullptr, 0, 0, NPY_ARRAY_DEFAULT, nullptr)
        : is_exact(x) ? new_ref(x)
                      : decline(Why::type));
    if (!found) return {};
    PyArray_Descr* const index_type = descr_of_num[NPY_INTP];
    Fields const* const f = fields(found.ptr());
    if (f->descr == index_type) {
        if ((f->flags & NPY_ARRAY_CARRAY_RO) == NPY_ARRAY_CARRAY_RO) return found;
    } else if (!PyTypeNum_ISBOOL(f->descr->type_num) &&
               (number || !PyTypeNum_ISINTEGER(f->descr->type_num))) {
        declined = Why::dtype;
        return {};
    }
    Py_INCREF(index_type);
    return py::reinterpret_steal<py::object>(PyArray_FromAny(
        found.ptr(), index_type, 0, 0, NPY_ARRAY_DEFAULT | NPY_ARRAY_FORCECAST, nullptr));
}

bool parse_mode(PyObject* x, IndexMode* mode) {
    *mode = IndexMode::raise;
    if (!x || is_text(x, "raise")) return true;
    *mode = is_text(x, "wrap") ? IndexMode::wrap : IndexMode::clip;
    return *mode == IndexMode::wrap || is_text(x, "clip");
}

// Leaves out the trailing axes that are one run in both: they become part of an element.
npy_intp merge_trailing(const Fields* f, int axis, npy_intp* kept) {
    npy_intp size = PyDataType_ELSIZE(f->descr);
    int d = f->nd - 1;
    for (; d > axis && (f->strides[d] == size || f->dimensions[d] == 1); --d)
        size *= f->dimensions[d];
    *kept = d - axis;
    return size;
}

// The axes of `f` but `axis`, and those of the result, where `inserted` axes are in its place.
void read_others(const Fields* f, int axis, npy_intp kept, const Fields* out, int inserted,
                 Nest& others) {
    others.ndim = 0;
    others.operands = 2;
    others.data[0] = f->data;
    others.data[1] = out->data;
    for (int d = 0; d <= axis + kept; ++d) {
        if (d == axis) continue;
        others.shape[others.ndim] = f->dimensions[d];
        others.strides[0][others.ndim] = f->strides[d];
        others.strides[1][others.ndim++] = out->strides[d < axis ? d : d - 1 + inserted];
    }
    simplify(others);
}

// Along `axis`, in which there is an element.
PyObject* taken(PyObject* self, PyObject* indices, int axis, IndexMode mode) {
    Fields const *const f = fields(self), *const g = fields(indices);
    int const nd = f->nd - 1 + g->nd;
    if (nd == 0 || nd > NPY_MAXDIMS) return decline(Why::shape);  // a scalar, or NumPy's error
    npy_intp dims[NPY_MAXDIMS];
    npy_intp total = 1;
    for (int d = 0; d < nd; ++d) {
        dims[d] = d < axis           ? f->dimensions[d]
                  : d < axis + g->nd ? g->dimensions[d - axis]
                                     : f->dimensions[d - g->nd + 1];
        if (__builtin_mul_overflow(total, dims[d], &total)) return decline(Why::shape);
    }
    if (total == 0) return decline(Why::shape);
    npy_intp kept;
    TakeBlock along{};
    along.size = merge_trailing(f, axis, &kept);
    if (kept && total >= count_of(f) / 2) {  // whole rows are copied faster than their elements
        auto const rows = py::reinterpret_steal<py::object>(c_ordered(self));
        return rows ? taken(rows.ptr(), indices, axis, mode) : nullptr;
    }
    PyObject* const out = new_array(nd, dims, f->descr);
    if (!out) return nullptr;
    Nest others;
    read_others(f, axis, kept, fields(out), g->nd, others);
    along.indices = reinterpret_cast<const int64_t*>(g->data);
    along.n = count_of(g);
    along.length = f->dimensions[axis];
    along.from_step = f->strides[axis];
    along.to_step = g->nd ? fields(out)->strides[axis + g->nd - 1] : 0;
    along.mode = mode;
    auto const moves = static_cast<double>(along.n * count(others));
    double const cost = moves * (move_cost + byte_cost * static_cast<double>(along.size));
    const Table& table = *active().table;
    bool in_range = false;
    run_long(total, cost / static_cast<double>(total),
             [&](WorkSplit split) { in_range = take(table, along, others, total, split); });
    if (in_range) return out;
    Py_DECREF(out);
    return decline(Why::index);
}

}  // namespace

PyObject* take_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                      PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    IndexMode mode;
    if (!take_signature.parse(args, nargs, kwnames, slots) || !slots[0] || !is_none(slots[2]) ||
        !parse_mode(slots[3], &mode))
        return decline(Why::keyword);
    Fields const* const f = fields(self);
    if (!is_movable(f->descr)) return decline(Why::dtype);
    npy_intp axis = 0;
    bool const flat = is_none(slots[1]);
    if (!f->nd || !count_of(f) || (!flat && !parse_axis(slots[1], f->nd, &axis)))
        return decline(Why::shape);
    py::object const indices = as_indices(slots[0]);
    if (!indices) return nullptr;
    // Items of a list may have run any code.
    if (f->nd <= axis || !count_of(f) || !is_movable(f->descr)) return decline(Why::shape);
    // The elements of several axes in C order.
    auto const array =
        py::reinterpret_steal<py::object>(!flat || f->nd == 1 ? new_ref(self) : raveled(self));
    if (!array) return nullptr;
    PyObject* const out = taken(array.ptr(), indices.ptr(), static_cast<int>(axis), mode);
    if (out) count_native(entry, column_of(f->descr), layout_of(f), f->nd, f->dimensions);
    return out;
}

}  // namespace raptors
