#include "ops/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "array/free_lists.h"
#include "array/views.h"
#include "creation/copying.h"
#include "linalg/product.h"
#include "ops/reduce_call.h"
#include "python/operand.h"

namespace raptors {
namespace {

// The sum over (self - centre)^2, in the steps that NumPy takes, with its warnings.
PyObject* sum_of_squares(PyObject* self, PyObject* centre, const ReduceCall& call) {
    Fields const* const f = fields(self);
    PyObject* const deviation = binary(Op::subtract, self, centre);
    if (!deviation) return nullptr;
    Fields const* x = fields(deviation);
    bool const same = is_ours(deviation) && same_shape(x, f) && is_floating(dtype_of(x->descr));
    ElementwiseOptions in_place_of{};
    in_place_of.out[0] = deviation;
    PyObject* const squares =
        same ? elementwise(Op::square, &deviation, in_place_of) : decline(Why::shape);
    Py_DECREF(deviation);
    if (!squares) return nullptr;
    PyObject* const out = reduce(entry_of(call.combine()), squares, call);
    Py_DECREF(squares);
    return out;
}

// Whether a reduction of these elements goes through them in the order in which it goes through a
// dense copy: that of one run, or along the axis whose elements lie closest.
bool in_dense_order(const Fields* f, const bool* reduced) {
    if (f->flags & (NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_F_CONTIGUOUS)) return true;
    npy_intp along = 0, least = NPY_MAX_INTP;
    for (int d = 0; d < f->nd; ++d) {
        if (f->dimensions[d] == 1) continue;
        npy_intp const stride = std::abs(f->strides[d]);
        if (reduced[d] && along) return false;
        if (reduced[d])
            along = stride;
        else
            least = std::min(least, stride);
    }
    return along <= least;
}

// The same numbers, bit by bit, without the intermediate arrays. nullptr, without an error: not
// such a case, or there is something to warn of.
PyObject* sum_of_deviations(PyObject* self, PyObject* mean, ReduceCall call, const bool* reduced) {
    Fields const* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (!is_floating(t) || !in_dense_order(f, reduced)) return nullptr;
    Centre centre{};
    Operand scalar;
    if (is_exact(mean)) {
        Fields const* const m = fields(mean);
        bool fits = m->nd == f->nd && m->descr == f->descr && (m->flags & NPY_ARRAY_ALIGNED);
        for (int d = 0; fits && d < f->nd; ++d) {
            fits = m->dimensions[d] == (reduced[d] ? 1 : f->dimensions[d]);
            centre.strides[d] = reduced[d] ? 0 : m->strides[d];
        }
        if (!fits) return nullptr;
        centre.data = m->data;
    } else {
        if (!read_operand(mean, scalar) || scalar.dtype != t) return nullptr;
        centre.data = scalar.element;
    }
    call.centre = &centre;
    return reduce(entry_of(call.combine()), self, call);
}

// ddof=, or correction= in its place. False: NumPy judges.
bool parse_ddof(const ReduceCall& call, bool is_function, double* ddof) {
    PyObject* const correction = call.given[p_correction];
    if (correction && (call.given[p_ddof] || !is_function)) return false;
    PyObject* const given = correction ? correction : call.given[p_ddof];
    npy_intp whole;
    *ddof = 0;
    if (given && parse_integer(given, &whole))
        *ddof = static_cast<double>(whole);
    else if (given && PyFloat_CheckExact(given))
        *ddof = PyFloat_AS_DOUBLE(given);
    else if (given)
        return false;
    return true;
}

// What becomes of sums of squares (an array or a scalar, taken over).
PyObject* finish_sums(const Table& table, PyObject* sums, const Finish& finish, double n) {
    if (is_ours(sums)) {
        if (finish_array(table, fields(sums), dtype_of(fields(sums)->descr), finish, n))
            return sums;
        Py_DECREF(sums);
        return PyErr_NoMemory();
    }
    Operand sum;
    bool const read = read_operand(sums, sum) && sum.dtype != no_dtype;
    Py_DECREF(sums);
    if (!read) return decline(Why::type);
    finish_element(sum.element, sum.dtype, finish, n);
    return as_scalar(sum.element, sum.dtype, num_of_dtype[index(sum.dtype)]);
}

// Whether numpy.linalg.norm with these arguments is the root of the sum of squares: of vectors, of
// matrices, or of all elements.
bool is_of_order_two(const ReduceCall& call, const Fields* f, const bool* reduced) {
    PyObject* const ord = call.given[p_ord];
    PyObject* const axis = call.given[p_axis];
    auto const axes = std::count(reduced, reduced + f->nd, true);
    bool keepdims;
    if (!parse_flag(call.given[p_keepdims], &keepdims)) return false;
    if (keepdims && (is_none(axis) || !PyLong_Check(axis)))
        return false;  // NumPy's is a view of another array
    if (is_none(ord)) return is_none(axis) || axes == 1 || axes == 2;
    npy_intp whole;
    if (axes == 1)
        return PyFloat_CheckExact(ord) ? PyFloat_AS_DOUBLE(ord) == 2
                                       : parse_integer(ord, &whole) && whole == 2;
    return axes == 2 && (is_text(ord, "fro") || is_text(ord, "f"));
}

// numpy._core._methods._var and _std, step by step: mean, deviations, their squares' sum, division
// by n - ddof. Each step is our own kernel, so the mean inside is the one that mean() gives.
PyObject* variance(Entry* entry, PyObject* self, const ReduceCall& call, bool is_function) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    PyObject* const mean = call.given[p_mean];
    PyObject* const where = call.given[p_where];
    double ddof;
    if (!is_none(call.given[p_dtype]) || !is_none(call.given[p_out]) ||
        (where && where != Py_True) || (mean && !is_exact(mean)) ||
        !parse_ddof(call, is_function, &ddof))
        return decline(Why::keyword);

    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr);
    bool reduced[NPY_MAXDIMS];
    PyObject* const axis = call.given[p_axis];
    if (!is_elementary(t)) return decline(Why::dtype);
    if (!f->nd || !count_of(f) || !parse_axes(axis, f->nd, reduced)) return decline(Why::shape);
    double n = 1;
    for (int d = 0; d < f->nd; ++d)
        if (reduced[d]) n *= static_cast<double>(f->dimensions[d]);
    if (!(n - ddof > 0)) return decline(Why::value);  // NumPy warns

    PyObject* centre;
    if (mean) {
        centre = new_ref(mean);
    } else {
        ReduceCall first = calling(call.steps.map.centre);
        first.given[p_axis] = axis;
        if (!is_none(axis)) first.given[p_keepdims] = Py_True;
        static Entry* const counted_as =
            new_entry(reduction_info[index(call.steps.map.centre)].name);
        centre = reduce(counted_as, self, first);
    }
    if (!centre) return nullptr;
    ReduceCall sum = combining(call.combine());
    sum.given[p_axis] = axis;
    sum.given[p_keepdims] = call.given[p_keepdims];
    PyObject* out = sum_of_deviations(self, centre, sum, reduced);
    if (!out && !PyErr_Occurred()) out = sum_of_squares(self, centre, sum);
    Py_DECREF(centre);
    if (out) out = finish_sums(*act.table, out, call.steps.finish, n - ddof);
    if (out) count_native(entry, t, layout_of(f), f->nd, f->dimensions);
    return out;
}

// numpy._core._methods._ptp: the maximum minus the minimum.
PyObject* difference(Entry* entry, PyObject* self, const ReduceCall& call) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    bool keepdims, reduced[NPY_MAXDIMS];
    if (!is_none(call.given[p_out]) || !parse_flag(call.given[p_keepdims], &keepdims))
        return decline(Why::keyword);
    Fields const* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (!is_elementary(t) || !act.table->elementwise[index(Op::subtract)][index(t)])
        return decline(Why::dtype);
    if (!f->nd || !parse_axes(call.given[p_axis], f->nd, reduced)) return decline(Why::shape);
    // A scalar result is the one element of an array until the end.
    bool const scalar =
        !keepdims && std::all_of(reduced, reduced + f->nd, [](bool own) { return own; });
    auto reduced_by = [&](Combine combine) {
        ReduceCall part = combining(combine);
        part.given[p_axis] = call.given[p_axis];
        part.given[p_keepdims] = keepdims || scalar ? Py_True : nullptr;
        return pybind11::reinterpret_steal<pybind11::object>(reduce(entry_of(combine), self, part));
    };
    auto const minuend = reduced_by(call.combine());
    Reduction const other = call.steps.finish.subtrahend;
    auto const subtrahend =
        minuend ? reduced_by(reduction_info[index(other)].steps.combine) : minuend;
    if (!subtrahend) return nullptr;
    PyObject* const both[] = {minuend.ptr(), subtrahend.ptr()};
    ElementwiseOptions in_place_of{};
    in_place_of.out[0] = minuend.ptr();
    auto const range =
        pybind11::reinterpret_steal<pybind11::object>(elementwise(Op::subtract, both, in_place_of));
    if (!range) return nullptr;
    count_native(entry, t, layout_of(f), f->nd, f->dimensions);
    Fields const* const r = fields(range.ptr());
    return scalar ? as_scalar(r->data, t, r->descr->type_num) : new_ref(range.ptr());
}

// The root of the product of all elements, which are one run, with themselves.
PyObject* norm_of_run(const Table& table, PyObject* self, const Finish& finish) {
    Fields const* const f = fields(self);
    DType const t = dtype_of(f->descr);
    Element element;
    if (!product_with_itself(table, f, element)) return nullptr;
    finish_element(element, t, finish, 1);
    return as_scalar(element, t, num_of_dtype[index(t)]);
}

// Squares are those of deviations from 0.
PyObject* norm_along_axes(const Table& table, PyObject* self, ReduceCall call) {
    static Element zero{};
    static Centre const centre{zero, {}};
    Finish const finish = call.steps.finish;
    call.centre = &centre;
    call.steps.finish = {Finish::NOTHING};
    PyObject* const sums = reduce(entry_of(call.combine()), self, call);
    return sums ? finish_sums(table, sums, finish, 1) : nullptr;
}

// numpy.linalg.norm where it is the root of a sum of squares.
PyObject* norm(Entry* entry, PyObject* self, const ReduceCall& call) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    Fields const* const f = fields(self);
    DType const t = dtype_of(f->descr);
    bool reduced[NPY_MAXDIMS];
    if (!is_elementary(t)) return decline(Why::dtype);
    if (!f->nd || !parse_axes(call.given[p_axis], f->nd, reduced)) return decline(Why::shape);
    if (!is_of_order_two(call, f, reduced)) return decline(Why::keyword);
    auto const floats = pybind11::reinterpret_steal<pybind11::object>(
        is_floating(t) ? new_ref(self) : converted(self, descr_of(DType::float64), Order::keep));
    if (!floats) return nullptr;
    bool const one_run =
        is_none(call.given[p_axis]) &&
        fields(floats.ptr())->flags & (NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_F_CONTIGUOUS);
    PyObject* const out = one_run ? norm_of_run(*act.table, floats.ptr(), call.steps.finish)
                                  : norm_along_axes(*act.table, floats.ptr(), call);
    if (out) count_native(entry, t, layout_of(f), f->nd, f->dimensions);
    return out;
}

}  // namespace

PyObject* reduce_by_several(Entry* entry, PyObject* self, const ReduceCall& call,
                            bool is_function) {
    switch (call.steps.map.kind) {
        case Map::DEVIATION:
            return variance(entry, self, call, is_function);
        case Map::SQUARE:
            return norm(entry, self, call);
        default:
            return difference(entry, self, call);
    }
}

// The parts are floats that lie next to each other: one axis more, which is not reduced.
PyObject* sum_of_parts(Entry* entry, PyObject* self, const ReduceCall& call) {
    Fields const* const f = fields(self);
    for (int p : {p_dtype, p_out, p_initial, p_where})
        if (call.given[p]) return decline(Why::keyword);
    bool keepdims, reduced[NPY_MAXDIMS];
    if (call.is_of_several() || call.steps.finish.steps != Finish::NOTHING ||
        call.steps.map.kind != Map::ELEMENTS || !parse_flag(call.given[p_keepdims], &keepdims))
        return decline(Why::dtype);
    if (!f->nd || f->nd == NPY_MAXDIMS || !(f->flags & NPY_ARRAY_C_CONTIGUOUS) || !count_of(f) ||
        !parse_axes(call.given[p_axis] ? call.given[p_axis] : Py_None, f->nd, reduced))
        return decline(Why::shape);
    DType const t = dtype_of(f->descr), part = real_part(t);
    npy_intp const size = item_size(part);
    npy_intp dims[NPY_MAXDIMS], strides[NPY_MAXDIMS], kept[NPY_MAXDIMS];
    int n_kept = 0, n_axes = 0;
    long axes[NPY_MAXDIMS];
    for (int d = 0; d < f->nd; ++d) {
        dims[d] = f->dimensions[d];
        strides[d] = f->strides[d];
        if (reduced[d]) axes[n_axes++] = d;
        if (!reduced[d] || keepdims) kept[n_kept++] = reduced[d] ? 1 : f->dimensions[d];
    }
    dims[f->nd] = kept[n_kept] = 2;
    strides[f->nd] = size;
    auto const own = [](PyObject* o) { return pybind11::reinterpret_steal<pybind11::object>(o); };
    auto const parts = own(new_view(self, f->nd + 1, dims, strides, f->data, descr_of(part)));
    auto const out = own(new_array(n_kept, kept, f->descr));
    auto const along = own(PyTuple_New(n_axes));
    if (!parts || !out || !along) return nullptr;
    Fields const* const o = fields(out.ptr());
    npy_intp to[NPY_MAXDIMS];
    std::copy(o->strides, o->strides + n_kept, to);
    to[n_kept] = size;
    auto const sums = own(new_view(out.ptr(), n_kept + 1, kept, to, o->data, descr_of(part)));
    if (!sums) return nullptr;
    for (int i = 0; i < n_axes; ++i) {
        PyObject* const axis = PyLong_FromLong(axes[i]);
        if (!axis) return nullptr;
        PyTuple_SET_ITEM(along.ptr(), i, axis);
    }
    ReduceCall real = call;
    real.given[p_axis] = along.ptr();
    real.given[p_out] = sums.ptr();
    auto const done = own(reduce(entry, parts.ptr(), real));
    if (!done) return nullptr;
    if (n_kept) return new_ref(out.ptr());
    return as_scalar(o->data, t, f->descr->type_num);
}

PyObject* array_equal_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                             Py_ssize_t nargs, PyObject* kwnames) {
    static const Signature signature = {2, 2, {"a2", "equal_nan"}, {}};
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    bool equal_nan;
    if (!signature.parse(args, nargs, kwnames, slots) || !parse_flag(slots[1], &equal_nan) ||
        equal_nan)
        return decline(Why::keyword);
    if (!is_exact(self) || !slots[0] || !is_exact(slots[0])) return decline(Why::type);
    Fields const *const f = fields(self), *const g = fields(slots[0]);
    if (dtype_of(f->descr) == no_dtype || dtype_of(g->descr) == no_dtype)
        return decline(Why::dtype);
    bool equal = same_shape(f, g);
    if (equal) {
        if (!f->nd) return decline(Why::shape);
        auto const same =
            pybind11::reinterpret_steal<pybind11::object>(binary(Op::equal, self, slots[0]));
        if (!same) return nullptr;
        if (!is_ours(same.ptr())) return decline(Why::type);  // both are NumPy's own
        auto const all = pybind11::reinterpret_steal<pybind11::object>(
            reduce(entry_of(Combine::logical_and), same.ptr(), combining(Combine::logical_and)));
        if (!all) return nullptr;
        equal = PyObject_IsTrue(all.ptr()) == 1;
    }
    count_native(entry, dtype_of(f->descr), layout_of(f), f->nd, f->dimensions);
    return PyBool_FromLong(equal);
}

PyObject* trace_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                       Py_ssize_t nargs, PyObject* kwnames) {
    static Signature const of_axes = {5, 5, {"offset", "axis1", "axis2", "dtype", "out"}, {}};
    static Signature const of_matrices = {2, 0, {"offset", "dtype"}, {}};
    if (!active().table) return decline(Why::disabled);
    bool const matrices = which == 1;
    PyObject* slots[max_parameters] = {};
    if (!is_ours(self) || !(matrices ? of_matrices : of_axes).parse(args, nargs, kwnames, slots))
        return decline(Why::keyword);
    int const nd = fields(self)->nd;
    npy_intp offset = 0, a = matrices ? nd - 2 : 0, b = matrices ? nd - 1 : 1;
    if (nd < 2 || (slots[0] && !parse_integer(slots[0], &offset)) ||
        (!matrices && slots[1] && !parse_axis(slots[1], nd, &a)) ||
        (!matrices && slots[2] && !parse_axis(slots[2], nd, &b)) || a == b)
        return decline(Why::shape);
    PyObject* const diagonal = diagonal_of(self, offset, a, b);
    if (!diagonal) return nullptr;
    ReduceCall call = calling(Reduction::sum);
    call.given[p_axis] = PyLong_FromLong(nd - 2);
    call.given[p_dtype] = slots[matrices ? 1 : 3];
    call.given[p_out] = matrices ? nullptr : slots[4];
    PyObject* const out = call.given[p_axis] ? reduce(entry, diagonal, call) : nullptr;
    Py_XDECREF(call.given[p_axis]);
    Py_DECREF(diagonal);
    return out;
}

}  // namespace raptors
