#include "array/selection.h"

#include <algorithm>
#include <cstring>

#include "array/free_lists.h"
#include "creation/copying.h"
#include "creation/shaping.h"
#include "frame/run/take.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const put_signature = {3, 3, {"indices", "values", "mode"}, {}};
Signature const along_signature = {2, 2, {"indices", "axis"}, {}};
Signature const put_along_signature = {3, 3, {"indices", "values", "axis"}, {}};
Signature const take_signature = {4, 4, {"indices", "axis", "out", "mode"}, {}};
constexpr double move_cost = 0.6, byte_cost = 0.03;  // nanoseconds for an element, for its bytes

// Functions, unlike a[indices], want indices that can be cast safely; in some versions of NumPy
// take() does not.
bool casts_safely(PyObject* indices) {
    return !is_exact(indices) ||
           PyArray_CanCastTypeTo(fields(indices)->descr, descr_of_num[NPY_INTP], NPY_SAFE_CASTING);
}

bool parse_mode(PyObject* x, IndexMode* mode) {
    *mode = IndexMode::raise;
    if (!x || is_text(x, "raise")) return true;
    *mode = is_text(x, "wrap") ? IndexMode::wrap : IndexMode::clip;
    return *mode == IndexMode::wrap || is_text(x, "clip");
}

// Whether the axes behind `axis` are one run.
bool is_packed(const Fields* f, int axis) {
    npy_intp size = PyDataType_ELSIZE(f->descr);
    for (int d = f->nd - 1; d > axis; --d) {
        if (f->strides[d] != size && f->dimensions[d] != 1) return false;
        size *= f->dimensions[d];
    }
    return true;
}

// Contiguous indices along an axis of `length` elements that are `step` bytes apart.
IndexBlock block_of(npy_intp length, npy_intp step, PyArray_Descr* descr, const Fields* indices) {
    IndexBlock along{};
    along.size = PyDataType_ELSIZE(descr);
    along.indices = reinterpret_cast<const int64_t*>(indices->data);
    along.n = count_of(indices);
    along.length = length;
    along.step = step;
    along.mode = IndexMode::raise;
    return along;
}

Nest two_operands(char* array, char* values) {
    Nest nest;
    nest.ndim = 0;
    nest.operands = 2;
    nest.data[0] = array;
    nest.data[1] = values;
    return nest;
}
void add_axis(Nest& nest, npy_intp length, npy_intp stride, npy_intp values_stride) {
    nest.shape[nest.ndim] = length;
    nest.strides[0][nest.ndim] = stride;
    nest.strides[1][nest.ndim++] = values_stride;
}

// The innermost of the other axes becomes part of an element where it is one run in both.
void merge_innermost(IndexBlock& along, Nest& others) {
    simplify(others);
    int const last = others.ndim - 1;
    if (last < 0 || others.strides[0][last] != along.size || others.strides[1][last] != along.size)
        return;
    along.size *= others.shape[last];
    others.ndim = last;
}

// `others`: the axes of the array and of the result but those of the indices; `total`: the elements
// of the result. False: an index is out of range.
bool take_along(IndexBlock& along, Nest& others, npy_intp total) {
    const Table& table = *active().table;
    bool in_range = false;
    if (others.ndim == 0 && total < long_from) [[likely]] {
        along.array = others.data[0];
        along.values = others.data[1];
        along.rows = 1;
        in_range = table.take(along);
    } else {
        auto const moves = static_cast<double>(along.n * count(others));
        double const cost = moves * (move_cost + byte_cost * static_cast<double>(along.size));
        run_long(total, cost / static_cast<double>(total),
                 [&](WorkSplit split) { in_range = take(table, along, others, total, split); });
    }
    if (!in_range) declined = Why::index;
    return in_range;
}

// The shape of what is selected: the indices' axes in place of one. False: NumPy judges.
bool shape_of_selection(const Fields* indices, int nd, const npy_intp* from, int axis, int at,
                        npy_intp* dims, npy_intp* total) {
    if (indices->nd + nd - 1 > NPY_MAXDIMS) return false;
    *total = 1;
    int to = 0;
    auto const add = [&](npy_intp length) {
        dims[to++] = length;
        return !__builtin_mul_overflow(*total, length, total);
    };
    bool fits = true;
    for (int d = 0, other = 0; d < nd; ++d) {
        if (d == at) {
            for (int i = 0; i < indices->nd; ++i) fits = add(indices->dimensions[i]) && fits;
            continue;
        }
        if (other == axis) ++other;
        fits = add(from[other++]) && fits;
    }
    return fits;
}

// Whether indices are in range where nothing is selected.
bool are_in_range(const Fields* indices, npy_intp length) {
    if (!count_of(indices)) return true;
    IndexBlock block{};
    block.indices = reinterpret_cast<const int64_t*>(indices->data);
    block.n = count_of(indices);
    block.length = length;
    return length && active().table->in_range(block);
}

// Along `axis`, in which there is an element.
PyObject* taken(PyObject* self, PyObject* indices, int axis, IndexMode mode) {
    Fields const *const f = fields(self), *const g = fields(indices);
    int const nd = f->nd - 1 + g->nd;
    npy_intp dims[NPY_MAXDIMS], total;
    if (!shape_of_selection(g, f->nd, f->dimensions, axis, axis, dims, &total) || !total)
        return decline(Why::shape);
    bool const in_rows = is_packed(f, axis);
    if (!in_rows && total >= count_of(f) / 2) {  // whole rows are copied faster than their elements
        auto const rows = py::reinterpret_steal<py::object>(c_ordered(self));
        return rows ? taken(rows.ptr(), indices, axis, mode) : nullptr;
    }
    PyObject* const out = new_array(nd, dims, f->descr);
    if (!out) return nullptr;
    Fields const* const o = fields(out);
    IndexBlock along = block_of(f->dimensions[axis], f->strides[axis], f->descr, g);
    along.values_step = g->nd ? o->strides[axis + g->nd - 1] : 0;
    along.mode = mode;
    Nest others = two_operands(f->data, o->data);
    for (int d = 0; d < f->nd; ++d)
        if (d != axis)
            add_axis(others, f->dimensions[d], f->strides[d],
                     o->strides[d < axis ? d : d - 1 + g->nd]);
    merge_innermost(along, others);
    if (take_along(along, others, total)) return out;
    Py_DECREF(out);
    return nullptr;
}

// As NumPy's: the axes of the indices are the outer ones in memory, the others follow in the order
// of their strides in the array.
PyObject* new_selection(const Selection& part, int outer, const npy_intp* dims,
                        const npy_intp* strides, PyArray_Descr* descr) {
    int const others = part.nd - 1;
    if (!others && !part.permuted) return new_array(outer, dims, descr);
    int perm[NPY_MAXDIMS], inner[NPY_MAXDIMS];
    stride_order(others, strides, inner);
    for (int d = 0; d < outer; ++d) perm[d] = part.permuted ? part.order[d] : d;
    for (int d = 0; d < others; ++d) perm[outer + d] = outer + inner[d];
    return new_array_ordered(outer + others, dims, perm, descr);
}

}  // namespace

PyObject* selected(PyObject* self, const Selection& part) {
    Fields const* const f = fields(self);
    if (!is_movable(f->descr)) return decline(Why::dtype);
    py::object const indices = as_indices(part.indices.ptr(), false);
    if (!indices) return nullptr;
    Fields const* const g = fields(indices.ptr());
    int const axis = part.indexed, nd = part.nd - 1 + g->nd;
    npy_intp dims[NPY_MAXDIMS], total;
    if (!shape_of_selection(g, part.nd, part.dims, axis, 0, dims, &total) ||
        (!total && !are_in_range(g, part.dims[axis])))
        return decline(Why::index);
    for (int d = 0; part.permuted && d < g->nd; ++d) dims[part.order[d]] = g->dimensions[d];
    npy_intp strides[NPY_MAXDIMS];  // of the other axes
    for (int d = 0, to = 0; d < part.nd; ++d)
        if (d != axis) strides[to++] = part.strides[d];
    auto out =
        py::reinterpret_steal<py::object>(new_selection(part, g->nd, dims, strides, f->descr));
    if (!out) return nullptr;
    Fields const* const o = fields(out.ptr());
    IndexBlock along = block_of(part.dims[axis], part.strides[axis], f->descr, g);
    int const innermost = part.permuted ? part.order[g->nd - 1] : g->nd - 1;
    along.values_step = g->nd ? o->strides[innermost] : 0;
    Nest others = two_operands(part.data, o->data);
    for (int d = 0; d < part.nd - 1; ++d)
        add_axis(others, dims[g->nd + d], strides[d], o->strides[g->nd + d]);
    merge_innermost(along, others);
    if (total && !take_along(along, others, total)) return nullptr;
    if (axis == 0) return out.release().ptr();
    // The axes before that of the indices come first.
    npy_intp shape[NPY_MAXDIMS], steps[NPY_MAXDIMS];
    for (int d = 0; d < nd; ++d) {
        int const from = d < axis ? g->nd + d : d < axis + g->nd ? d - axis : d;
        shape[d] = dims[from];
        steps[d] = o->strides[from];
    }
    return new_view(out.ptr(), nd, shape, steps, o->data, f->descr);
}

namespace {

// What is assigned: in the dtype and shape of the selection.
struct Values {
    py::object array;
    Element element;
    char* data;
    npy_intp strides[NPY_MAXDIMS];
};

// False: declined, or an error is set.
bool read_values(PyObject* value, const Fields* f, int nd, const npy_intp* dims, Values& values) {
    for (int d = 0; d < nd; ++d) values.strides[d] = 0;
    if (!is_exact(value)) {
        DType const t = dtype_of(f->descr);
        values.data = values.element;
        declined = Why::value;
        return t != no_dtype && scalar_element(value, t, values.element);
    }
    values.array = py::reinterpret_steal<py::object>(as_values(f->descr, value));
    if (!values.array) return false;
    Fields const* const v = fields(values.array.ptr());
    declined = Why::shape;
    if (!broadcast_strides(v, nd, dims, values.strides)) return false;
    values.data = v->data;
    declined = Why::overlap;
    return disjoint(v, f);
}

// Whether the elements of these axes are all a step apart, in C order.
bool have_one_step(int nd, const npy_intp* dims, const npy_intp* strides, npy_intp* step) {
    npy_intp next = 0;
    bool any = false;
    *step = 0;
    for (int d = nd - 1; d >= 0; --d) {
        if (dims[d] == 1) continue;
        if (!any)
            *step = strides[d];
        else if (strides[d] != next)
            return false;
        any = true;
        next = strides[d] * dims[d];
    }
    return true;
}

// Where each index takes one value for a whole run of the array: a run of that value, so that runs
// are copied and not elements far apart. False: an error is set.
bool repeat_innermost(const IndexBlock& along, Nest& others, PyArray_Descr* descr,
                      py::object& row) {
    simplify(others);
    int const last = others.ndim - 1;
    if (last < 0 || others.strides[0][last] != along.size || others.strides[1][last] != 0)
        return true;
    bool one_value = along.values_step == 0;
    for (int d = 0; d < last; ++d) one_value = one_value && others.strides[1][d] == 0;
    if (!one_value) return true;
    npy_intp const n = others.shape[last];
    row = py::reinterpret_steal<py::object>(new_array(1, &n, descr));
    if (!row) return false;
    char* const to = fields(row.ptr())->data;
    active().table->repeat(others.data[1], to, 1, n, along.size);
    others.data[1] = to;
    others.strides[1][last] = along.size;
    return true;
}

}  // namespace

int put_selected(PyObject* self, const Selection& part, PyObject* value) {
    Fields const* const f = fields(self);
    if (!is_movable(f->descr)) return refuse_item(Why::dtype);
    if (!is_injective(f)) return refuse_item(Why::overlap);
    if (part.backwards && !part.c_order) return refuse_item(Why::index);
    py::object const indices = as_indices(part.indices.ptr(), false);
    if (!indices) return PyErr_Occurred() ? -1 : 1;
    Fields const* const g = fields(indices.ptr());
    int const axis = part.indexed, nd = part.nd - 1 + g->nd;
    npy_intp dims[NPY_MAXDIMS], total;
    if (!shape_of_selection(g, part.nd, part.dims, axis, axis, dims, &total) || !disjoint(g, f) ||
        (!total && !are_in_range(g, part.dims[axis])))
        return refuse_item(Why::index);
    Values values;
    if (!read_values(value, f, nd, dims, values)) return PyErr_Occurred() ? -1 : 1;
    if (!total) return 0;
    IndexBlock along = block_of(part.dims[axis], part.strides[axis], f->descr, g);
    if (!have_one_step(g->nd, dims + axis, values.strides + axis, &along.values_step)) {
        if (!part.c_order) return refuse_item(Why::shape);
        auto const all = py::reinterpret_steal<py::object>(
            new_view(values.array.ptr(), nd, dims, values.strides, values.data, f->descr));
        if (!all) return -1;
        values.array = py::reinterpret_steal<py::object>(c_ordered(all.ptr()));
        if (!values.array) return -1;
        Fields const* const v = fields(values.array.ptr());
        values.data = v->data;
        std::copy(v->strides, v->strides + nd, values.strides);
        have_one_step(g->nd, dims + axis, values.strides + axis, &along.values_step);
    }
    Nest others = two_operands(part.data, values.data);
    for (int d = 0; d < part.nd; ++d)
        if (d != axis)
            add_axis(others, part.dims[d], part.strides[d],
                     values.strides[d < axis ? d : d - 1 + g->nd]);
    py::object row;
    if (!repeat_innermost(along, others, f->descr, row)) return -1;
    merge_innermost(along, others);
    const Table& table = *active().table;
    bool in_range = false;
    run_long(total, move_cost, [&](WorkSplit) { in_range = put(table, along, others); });
    return in_range ? 0 : refuse_item(Why::index);
}

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
    if (!casts_safely(slots[0])) return decline(Why::dtype);
    py::object const indices = as_indices(slots[0], true);
    if (!indices) return nullptr;
    // Items of a list may have run any code.
    if (f->nd <= axis || !count_of(f) || !is_movable(f->descr)) return decline(Why::shape);
    // The elements of several axes in C order.
    auto const array =
        py::reinterpret_steal<py::object>(!flat || f->nd == 1 ? new_ref(self) : raveled(self));
    if (!array) return nullptr;
    PyObject* const out = taken(array.ptr(), indices.ptr(), static_cast<int>(axis), mode);
    if (!out) return nullptr;
    count_native(entry, f);
    return PyArray_Return(reinterpret_cast<PyArrayObject*>(out));  // of no axes: a scalar
}

namespace {

// Values for put(): one after the other in C order, from the first again after the last. Null:
// declined, or an error is set.
py::object values_of_shape(PyObject* x, const Fields* indices) {
    if (!is_exact(x) || same_shape(fields(x), indices))
        return py::reinterpret_borrow<py::object>(x);
    npy_intp const given = count_of(fields(x)), n = count_of(indices);
    if (!given || !n || !is_movable(fields(x)->descr)) {
        declined = Why::shape;
        return {};
    }
    auto values = py::reinterpret_steal<py::object>(raveled(x));
    if (values && given < n) {
        auto const few = std::move(values);
        npy_intp const size = PyDataType_ELSIZE(fields(x)->descr);
        values = py::reinterpret_steal<py::object>(new_array(1, &n, fields(x)->descr));
        if (!values) return {};
        for (npy_intp at = 0; at < n; at += given)
            std::memcpy(fields(values.ptr())->data + at * size, fields(few.ptr())->data,
                        static_cast<size_t>(std::min(given, n - at) * size));
    }
    if (!values) return {};
    return py::reinterpret_steal<py::object>(
        reshaped(values.ptr(), indices->nd, indices->dimensions));
}

}  // namespace

PyObject* put_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                     PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_ours(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    if (!put_signature.parse(args, nargs, kwnames, slots) || !slots[0] || !slots[1] ||
        (slots[2] && !is_text(slots[2], "raise")))
        return decline(Why::keyword);
    Fields const* const f = fields(self);
    auto const takes_values = [f] {
        return f->flags & NPY_ARRAY_WRITEABLE && !(f->flags & warn_on_write) && count_of(f) &&
               is_movable(f->descr) && is_injective(f);
    };
    if (!takes_values()) return decline(Why::shape);
    if (!casts_safely(slots[0])) return decline(Why::dtype);
    py::object const indices = as_indices(slots[0], false);
    if (!indices) return nullptr;
    py::object const values = values_of_shape(slots[1], fields(indices.ptr()));
    if (!values) return nullptr;
    if (!takes_values()) return decline(Why::shape);  // items of a list may have run any code
    // As NumPy, in a copy in C order where the elements lie otherwise.
    bool const in_place = f->flags & NPY_ARRAY_C_CONTIGUOUS;
    auto const array =
        py::reinterpret_steal<py::object>(in_place ? new_ref(self) : c_ordered(self));
    if (!array) return nullptr;
    Fields const* const flat = fields(array.ptr());
    Selection all;
    all.data = flat->data;
    all.nd = 1;
    all.dims[0] = count_of(f);
    all.strides[0] = PyDataType_ELSIZE(f->descr);
    all.element = all.permuted = all.backwards = false;
    all.c_order = true;
    all.indices = indices;
    all.indexed = 0;
    if (put_selected(array.ptr(), all, values.ptr())) return nullptr;
    if (!in_place)
        move_elements(f->nd, f->dimensions, flat->data, flat->strides, f->data, f->strides,
                      PyDataType_ELSIZE(f->descr));
    count_native(entry, f);
    Py_RETURN_NONE;
}

PyObject* along_axis_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                            Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    bool const puts = which == 1;
    PyObject* slots[max_parameters];
    npy_intp axis;
    if (!(puts ? put_along_signature : along_signature).parse(args, nargs, kwnames, slots) ||
        !slots[0] || !slots[1] || !slots[puts ? 2 : 1])
        return decline(Why::keyword);
    if (!is_exact(self) || !is_exact(slots[0])) return decline(Why::type);
    Fields const* const f = fields(self);
    if (puts && (!(f->flags & NPY_ARRAY_WRITEABLE) || f->flags & warn_on_write))
        return decline(Why::value);
    if (!parse_axis(slots[puts ? 2 : 1], f->nd, &axis)) return decline(Why::shape);
    Selection part;
    if (!select_along(f, static_cast<int>(axis), slots[0], !puts, part)) return nullptr;
    if (!puts) return counted(entry, selected(self, part));
    if (put_selected(self, part, slots[1])) return nullptr;
    count_native(entry, f);
    Py_RETURN_NONE;
}

}  // namespace raptors
