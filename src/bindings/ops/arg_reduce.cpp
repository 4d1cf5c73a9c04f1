// argmin and argmax.
#include "creation/copying.h"
#include "ops/reduce_call.h"
#include "runtime/threads.h"

namespace raptors {
namespace {

// The index among all elements, in C order.
PyObject* arg_reduce_all(Entry* entry, PyObject* self, DType t, const ReduceCall& call,
                         ReduceFn kernel, bool keepdims) {
    Fields* const f = fields(self);
    npy_intp const size = count_of(f);
    // Elements in another order are put in that order first.
    PyObject* ordered = nullptr;
    if (!(f->flags & NPY_ARRAY_C_CONTIGUOUS)) {
        ordered = c_ordered(self);
        if (!ordered) return nullptr;
    }
    int64_t where = 0;
    const char* const data = ordered ? fields(ordered)->data : f->data;
    run_long(size, cost_of(call.combine(), t), [&](WorkSplit split) {
        where = run_argreduce(kernel, data, size, item_size(t), split);
    });
    Py_XDECREF(ordered);
    count_native(entry, t, layout_of(f), f->nd, f->dimensions);
    if (!keepdims || !f->nd) return PyArray_Scalar(&where, descr_of(DType::int64), nullptr);
    npy_intp ones[NPY_MAXDIMS];
    for (int d = 0; d < f->nd; ++d) ones[d] = 1;
    PyObject* const out = new_array(f->nd, ones, descr_of(DType::int64));
    if (out) std::memcpy(fields(out)->data, &where, sizeof where);
    return out;
}

}  // namespace

PyObject* arg_reduce(Entry* entry, PyObject* self, DType t, const ReduceCall& call) {
    Fields* const f = fields(self);
    bool keepdims;
    if (!parse_flag(call.given[p_keepdims], &keepdims)) return decline(Why::keyword);
    ReduceFn const kernel = call.kernel(*active().table, t);
    if (!kernel) return decline(Why::dtype);
    npy_intp const size = count_of(f);
    if (size == 0) return decline(Why::shape);
    PyObject* const given_out = is_none(call.given[p_out]) ? nullptr : call.given[p_out];
    if (is_none(call.given[p_axis]))
        return given_out ? decline(Why::keyword)
                         : arg_reduce_all(entry, self, t, call, kernel, keepdims);
    bool reduced[NPY_MAXDIMS];
    if (!PyLong_CheckExact(call.given[p_axis]) || !parse_axes(call.given[p_axis], f->nd, reduced))
        return decline(Why::shape);
    npy_intp dims[NPY_MAXDIMS];
    int nd = 0, axis = -1;
    for (int d = 0; d < f->nd; ++d) {
        if (reduced[d]) axis = d;
        if (!reduced[d] || keepdims) dims[nd++] = reduced[d] ? 1 : f->dimensions[d];
    }
    Element element;
    PyObject* out = nullptr;
    if (given_out) {
        Why const why = judge_output(given_out, f, nd, dims, DType::int64);
        if (why != Why::none) return decline(why);
        out = new_ref(given_out);
    } else if (nd) {
        out = new_array(nd, dims, descr_of(DType::int64));
        if (!out) return nullptr;
    }
    Nest const nest = reduce_nest(f, reduced, keepdims, out, element);
    run_long(size, cost_of(call.combine(), t),
             [&](WorkSplit) { run_argreduce(kernel, nest, axis); });
    count_native(entry, t, layout_of(f), f->nd, f->dimensions);
    if (out) return out;
    return PyArray_Scalar(element, descr_of(DType::int64), nullptr);
}

}  // namespace raptors
