// Operations by indices: ufunc.at on elements, ufunc.reduceat on runs of them.
#include <algorithm>

#include "api/table.h"
#include "array/index_key.h"
#include "ops/elementwise.h"
#include "ops/reduce_call.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

constexpr double at_cost = 2;  // nanoseconds for an element

// NumPy takes the dtype of a number here: none is promoted to that of the array.
bool read_scalar(PyObject* x, DType t, Element& element) {
    bool is_same = false;
    if (PyFloat_CheckExact(x)) {
        is_same = t == DType::float64;
    } else if (PyLong_CheckExact(x)) {
        is_same = t == DType::float64 || t == DType::int64;
    } else if (PyArray_IsScalar(x, Generic)) {
        PyArray_Descr* const descr = PyArray_DescrFromScalar(x);
        is_same = descr && dtype_of(descr) == t;
        Py_XDECREF(descr);
    }
    return is_same && scalar_element(x, t, element);
}

}  // namespace

PyObject* ufunc_at(const Ufunc& ufunc, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (ufunc.op == Op::count || kwnames || nargs != 3) return decline(Why::borrowed);
    if (!is_exact(args[0])) return decline(Why::type);
    Fields const* const f = fields(args[0]);
    DType const t = dtype_of(f->descr);
    AtFn const kernel = t == no_dtype ? nullptr : act.table->at[index(ufunc.op)][index(t)];
    bool const reports = kernel && op_info[index(ufunc.op)].reports(t);
    // NumPy reports of extremes here what comparing NaN raises on the machine.
    if (!kernel || (is_inexact(t) && !reports)) return decline(Why::dtype);
    auto const takes_values = [f, t] {
        return f->nd == 1 && f->dimensions[0] && dtype_of(f->descr) == t && is_writeable(f) &&
               is_injective(f);
    };
    if (!takes_values()) return decline(Why::shape);
    py::object const indices = as_indices(args[1], false);
    if (!indices) return nullptr;
    if (!takes_values()) return decline(Why::shape);  // items of a list may have run any code
    Fields const* const g = fields(indices.ptr());
    Element element;
    AtBlock block = {f->data,
                     f->strides[0],
                     f->dimensions[0],
                     reinterpret_cast<const int64_t*>(g->data),
                     count_of(g),
                     element,
                     0};
    if (is_exact(args[2])) {
        Fields const* const v = fields(args[2]);
        bool const in_steps = same_shape(v, g) && (v->nd == 1 || v->flags & NPY_ARRAY_C_CONTIGUOUS);
        if (dtype_of(v->descr) != t) return decline(Why::dtype);
        if (!in_steps && v->nd) return decline(Why::shape);
        if (!disjoint(v, f)) return decline(Why::overlap);
        block.values = v->data;
        block.values_step = v->nd == 1 ? v->strides[0] : v->nd ? item_size(t) : 0;
    } else if (!read_scalar(args[2], t, element)) {
        return decline(Why::value);
    }
    if (!disjoint(g, f)) return decline(Why::overlap);
    IndexBlock range{};
    range.indices = block.indices;
    range.n = block.n;
    range.length = block.length;
    if (!act.table->in_range(range)) return decline(Why::index);
    auto const call = [&] { run_long(block.n, at_cost, [&](WorkSplit) { kernel(block); }); };
    if (!reports)
        call();
    else if (run_reporting(ufunc.name, false, call) < 0)
        return nullptr;
    count_native(ufunc.entry, t, layout_of(f), f->nd, f->dimensions);
    Py_RETURN_NONE;
}

namespace {

// The runs of a vector that begin at each of the indices and end before the next one, or are one
// element where that is no greater. Their first elements are in the output.
void reduce_runs(ReduceFn kernel, const Fields* f, const Fields* indices, char* out,
                 ptrdiff_t out_size) {
    auto const* const first = reinterpret_cast<const int64_t*>(indices->data);
    npy_intp const n = indices->dimensions[0], step = f->strides[0];
    for (npy_intp i = 0; i < n; ++i) {
        npy_intp const end = i + 1 < n ? first[i + 1] : f->dimensions[0];
        if (end > first[i] + 1)
            kernel({f->data + (first[i] + 1) * step, out + i * out_size, end - first[i] - 1, step,
                    1, 0, 0});
    }
}

}  // namespace

PyObject* ufunc_reduceat(const Ufunc& ufunc, PyObject* const* args, Py_ssize_t nargs,
                         PyObject* kwnames) {
    static Signature const signature = {4, 4, {"indices", "axis", "dtype", "out"}, {}};
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (ufunc.reduction == n_combines || !nargs ||
        !signature.parse(args + 1, nargs - 1, kwnames, slots) || !slots[0] || !is_none(slots[2]) ||
        !is_none(slots[3]))
        return decline(Why::borrowed);
    if (!is_exact(args[0])) return decline(Why::type);
    Fields const* const f = fields(args[0]);
    npy_intp axis = 0;
    if (f->nd != 1 || (slots[1] && !parse_axis(slots[1], f->nd, &axis))) return decline(Why::shape);
    auto const combine = static_cast<Combine>(ufunc.reduction);
    ReduceCall const call = combining(combine);
    DType const t = dtype_of(f->descr);
    if (t == no_dtype || call.types[index(t)].kernel != t ||
        call.types[index(t)].accumulator != call.types[index(t)].result)
        return decline(Why::dtype);
    const ReduceTypes& types = call.types[index(t)];
    ReduceFn const kernel = call.kernel(*act.table, t);
    if (!kernel) return decline(Why::dtype);
    py::object const indices = as_indices(slots[0], false);
    if (!indices) return nullptr;
    Fields const* const g = fields(indices.ptr());
    // Items of a list may have run any code.
    if (f->nd != 1 || dtype_of(f->descr) != t || g->nd != 1 || !g->dimensions[0])
        return decline(Why::shape);
    auto const* const first = reinterpret_cast<const int64_t*>(g->data);
    for (npy_intp i = 0; i < g->dimensions[0]; ++i)
        if (first[i] < 0 || first[i] >= f->dimensions[0]) return decline(Why::index);
    PyArray_Descr* const descr = types.result_num < 0 ? f->descr : descr_of_num[types.result_num];
    auto out = py::reinterpret_steal<py::object>(new_array(1, g->dimensions, descr));
    if (!out) return nullptr;
    ptrdiff_t const out_size = item_size(types.accumulator);
    char* const to = fields(out.ptr())->data;
    Block one{};
    one.n = one.rows = 1;
    for (npy_intp i = 0; i < g->dimensions[0]; ++i) {
        one.data[0] = f->data + first[i] * f->strides[0];
        one.data[1] = to + i * out_size;
        one.inner[0] = item_size(t);
        one.inner[1] = out_size;
        act.table->cast[index(t)][index(types.accumulator)](one, nullptr);
    }
    auto const work = [&] { reduce_runs(kernel, f, g, to, out_size); };
    if (call.reports(t) ? run_reporting("reduceat", false, work) < 0 : (work(), false))
        return nullptr;
    count_native(ufunc.entry, t, layout_of(f), f->nd, f->dimensions);
    return out.release().ptr();
}

}  // namespace raptors
