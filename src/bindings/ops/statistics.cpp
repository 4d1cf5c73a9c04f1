#include "ops/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "array/free_lists.h"
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
    PyObject* const out = reduce(Reduce::sum, reduce_entry[index(Fold::sum)], squares, call);
    Py_DECREF(squares);
    return out;
}

// Whether a fold of these elements goes through them in the order in which it goes through a dense
// copy: that of one run, or along the axis whose elements lie closest.
bool in_dense_order(const Fields* f, const bool* folded) {
    if (f->flags & (NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_F_CONTIGUOUS)) return true;
    npy_intp along = 0, least = NPY_MAX_INTP;
    for (int d = 0; d < f->nd; ++d) {
        if (f->dimensions[d] == 1) continue;
        npy_intp const stride = std::abs(f->strides[d]);
        if (folded[d] && along) return false;
        if (folded[d])
            along = stride;
        else
            least = std::min(least, stride);
    }
    return along <= least;
}

// The same numbers, bit by bit, without the intermediate arrays. nullptr, without an error: not
// such a case, or there is something to warn of.
PyObject* sum_of_deviations(PyObject* self, PyObject* mean, ReduceCall call, const bool* folded) {
    Fields const* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (!is_floating(t) || !in_dense_order(f, folded)) return nullptr;
    Centre centre{};
    alignas(8) char element[8];
    if (is_exact(mean)) {
        Fields const* const m = fields(mean);
        bool fits = m->nd == f->nd && m->descr == f->descr && (m->flags & NPY_ARRAY_ALIGNED);
        for (int d = 0; fits && d < f->nd; ++d) {
            fits = m->dimensions[d] == (folded[d] ? 1 : f->dimensions[d]);
            centre.strides[d] = folded[d] ? 0 : m->strides[d];
        }
        if (!fits) return nullptr;
        centre.data = m->data;
    } else {
        if (!Py_IS_TYPE(mean, t == DType::float64 ? &PyDoubleArrType_Type : &PyFloatArrType_Type))
            return nullptr;
        PyArray_ScalarAsCtype(mean, element);
        centre.data = element;
    }
    call.centre = &centre;
    return reduce(Reduce::sum, reduce_entry[index(Fold::sum)], self, call);
}

}  // namespace

// numpy._core._methods._var and _std, step by step: mean, deviations, their squares' sum, division
// by n - ddof. Each step is our own kernel, so the mean inside is the one that mean() gives.
PyObject* variance_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                          Py_ssize_t nargs, PyObject* kwnames) {
    static const Signature signature = {
        8, 5, {"axis", "dtype", "out", "ddof", "keepdims", "where", "mean", "correction"}, {}};
    PyObject* slots[max_parameters];
    if (!signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
    PyObject *const axis = slots[0], *const keepdims = slots[4], *const mean = slots[6];
    bool const is_function = which & variance_function;
    if (refuses_object_output_of(slots[2], slots[1], PyUFunc_Zero, nullptr)) return nullptr;
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    if (!is_none(slots[1]) || !is_none(slots[2]) || (slots[5] && slots[5] != Py_True) ||
        (slots[7] && (slots[3] || !is_function)) || (mean && !is_exact(mean)))
        return decline(Why::keyword);
    PyObject* const ddof_given = slots[7] ? slots[7] : slots[3];
    double ddof = 0;
    npy_intp whole;
    if (ddof_given && parse_integer(ddof_given, &whole))
        ddof = static_cast<double>(whole);
    else if (ddof_given && PyFloat_CheckExact(ddof_given))
        ddof = PyFloat_AS_DOUBLE(ddof_given);
    else if (ddof_given)
        return decline(Why::keyword);

    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr);
    bool folded[NPY_MAXDIMS];
    if (!is_elementary(t)) return decline(Why::dtype);
    if (!f->nd || !size_of(f) || !parse_axes(axis, f->nd, folded)) return decline(Why::shape);
    double n = 1;
    for (int d = 0; d < f->nd; ++d)
        if (folded[d]) n *= static_cast<double>(f->dimensions[d]);
    if (!(n - ddof > 0)) return decline(Why::value);  // NumPy warns

    ReduceCall call{};
    call.given[p_axis] = axis;
    PyObject* centre;
    if (mean) {
        centre = new_ref(mean);
    } else {
        if (!is_none(axis)) call.given[p_keepdims] = Py_True;
        centre = reduce(Reduce::mean, reduce_entry[n_folds], self, call);
    }
    if (!centre) return nullptr;
    call.given[p_keepdims] = keepdims;
    PyObject* out = sum_of_deviations(self, centre, call, folded);
    if (!out && !PyErr_Occurred()) out = sum_of_squares(self, centre, call);
    Py_DECREF(centre);
    if (!out) return nullptr;

    bool const root = which & variance_root;
    if (is_ours(out)) {
        DType const u = dtype_of(fields(out)->descr);
        if (!divide_array(*act.table, fields(out), u, n - ddof)) {
            Py_DECREF(out);
            return PyErr_NoMemory();
        }
        if (root) {
            ElementwiseOptions rooted{};
            rooted.out[0] = out;
            PyObject* const result = elementwise(Op::sqrt, &out, rooted);
            Py_DECREF(out);
            out = result;
        }
    } else {
        bool const wide = Py_IS_TYPE(out, &PyDoubleArrType_Type);
        DType const u = wide ? DType::float64 : DType::float32;
        alignas(8) char element[8];
        PyArray_ScalarAsCtype(out, element);
        Py_DECREF(out);
        divide_scalar(element, u, n - ddof);
        if (root && wide) {
            double v;
            std::memcpy(&v, element, sizeof v);
            put(element, std::sqrt(v));
        } else if (root) {
            float v;
            std::memcpy(&v, element, sizeof v);
            put(element, std::sqrt(v));
        }
        out = as_scalar(element, u, num_of_dtype[index(u)]);
    }
    if (out) count_native(entry, t, layout_of(f), f->nd, f->dimensions);
    return out;
}

// numpy._core._methods._ptp: the maximum minus the minimum.
PyObject* ptp_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                     PyObject* kwnames) {
    static const Signature signature = {3, 3, {"axis", "out", "keepdims"}, {}};
    if (!active().table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    bool keepdims;
    if (!signature.parse(args, nargs, kwnames, slots) || !is_none(slots[1]) ||
        !parse_flag(slots[2], &keepdims))
        return decline(Why::keyword);
    Fields const* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (!is_elementary(t) || t == DType::boolean) return decline(Why::dtype);
    ReduceCall call{};
    call.given[p_axis] = slots[0];
    // A scalar result is the one element of an array until the end.
    bool const scalar = is_none(slots[0]) && !keepdims;
    call.given[p_keepdims] = keepdims || scalar ? Py_True : nullptr;
    auto extreme = [&](Reduce what, Fold fold) {
        return pybind11::reinterpret_steal<pybind11::object>(
            reduce(what, reduce_entry[index(fold)], self, call));
    };
    auto const most = extreme(Reduce::max, Fold::max);
    auto const least = most ? extreme(Reduce::min, Fold::min) : most;
    if (!least) return nullptr;
    if (!is_ours(most.ptr())) return decline(Why::shape);  // all axes of a tuple
    PyObject* const both[] = {most.ptr(), least.ptr()};
    ElementwiseOptions in_place_of{};
    in_place_of.out[0] = most.ptr();
    PyObject* const range = elementwise(Op::subtract, both, in_place_of);
    if (!range || !scalar) return range ? counted(entry, range) : nullptr;
    alignas(8) char element[8];
    std::memcpy(element, fields(range)->data, static_cast<size_t>(size_of(t)));
    int const num = fields(range)->descr->type_num;
    Py_DECREF(range);
    PyObject* const out = as_scalar(element, t, num);
    if (out) count_native(entry, t, layout_of(f), f->nd, f->dimensions);
    return out;
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
            reduce(Reduce::all, reduce_entry[index(Fold::all)], same.ptr(), ReduceCall{}));
        if (!all) return nullptr;
        equal = PyObject_IsTrue(all.ptr()) == 1;
    }
    count_native(entry, dtype_of(f->descr), layout_of(f), f->nd, f->dimensions);
    return PyBool_FromLong(equal);
}

}  // namespace raptors
