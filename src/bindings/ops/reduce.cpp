#include "ops/reduce.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/from_objects.h"
#include "frame/fp/fpstatus.h"
#include "ops/elementwise.h"
#include "ops/reduce_call.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace raptors {

Entry* reduce_entry[n_folds + 1];

namespace {

// ---- signatures, after the array
struct Form {
    Signature signature;
    int parameter[max_parameters];  // which Parameter each slot is
};
Form sum_form = {{6, 6, {"axis", "dtype", "out", "keepdims", "initial", "where"}, {}},
                 {p_axis, p_dtype, p_out, p_keepdims, p_initial, p_where}};
Form min_form = {{5, 5, {"axis", "out", "keepdims", "initial", "where"}, {}},
                 {p_axis, p_out, p_keepdims, p_initial, p_where}};
Form any_form = {{4, 3, {"axis", "out", "keepdims", "where"}, {}},
                 {p_axis, p_out, p_keepdims, p_where}};
Form mean_form = {{5, 4, {"axis", "dtype", "out", "keepdims", "where"}, {}},
                  {p_axis, p_dtype, p_out, p_keepdims, p_where}};
Form arg_form = {{3, 2, {"axis", "out", "keepdims"}, {}}, {p_axis, p_out, p_keepdims}};

// What follows from a row of reductions.def.
struct FoldTraits {
    const Form* form;  // by the accumulator: WIDE has dtype=, SAME has initial=, BOOL neither
    int identity;      // NumPy's of the ufunc: 0 or 1; -1: none
};
FoldTraits traits[n_folds];

const Form& form_of(Reduce what) {
    return what == Reduce::mean ? mean_form : *traits[static_cast<int>(what)].form;
}

inline Fold fold_of(Reduce what) {
    return what == Reduce::mean ? Fold::sum : static_cast<Fold>(what);
}

// ---- identities

// An element of dtype t that leaves the fold as it is; false: there is none (min, max).
bool identity(Fold fold, DType t, void* element) {
    int const value = traits[index(fold)].identity;
    std::memset(element, 0, 8);
    if (t == DType::float64)
        put(element, static_cast<double>(value));
    else if (t == DType::float32)
        put(element, static_cast<float>(value));
    else  // 0 and 1 have the same low bytes in every integer dtype
        put(element, static_cast<int64_t>(value));
    return value >= 0;
}

// Whether floating-point status goes to errstate: where results are rounded.
bool reports(Fold fold) { return !fold_info[index(fold)].exact; }

// dtype of the fold's kernel, its output, and the result that the caller sees.
struct Types {
    DType kernel, accumulator, result;
    int result_num;
};

bool resolve_types(Reduce what, PyArray_Descr* descr, PyObject* dtype, Types* types) {
    DType const t = dtype_of(descr);
    Fold const fold = fold_of(what);
    bool const arithmetic = what == Reduce::mean || &form_of(what) == &sum_form;
    *types = {t, accumulator(fold, t), accumulator(fold, t), descr->type_num};
    if (fold_info[index(fold)].index || types->accumulator != t || &form_of(what) == &any_form)
        types->result_num = num_of_dtype[index(types->accumulator)];
    if (what == Reduce::mean && !is_floating(t)) {
        *types = {DType::float64, DType::float64, DType::float64, NPY_DOUBLE};
    }
    if (is_none(dtype)) return true;
    if (!arithmetic) return false;
    PyArray_Descr* wanted = nullptr;
    if (!PyArray_DescrConverter(dtype, &wanted)) return false;  // an error is set
    DType const w = dtype_of(wanted);
    int const num = wanted->type_num;
    Py_DECREF(wanted);
    if (w == no_dtype || w == DType::boolean) return false;
    if (what == Reduce::mean && !is_floating(w)) return false;
    // Truncating a wide integer sum equals summing in the narrow type; narrowing floats would raise
    // events in the cast.
    if (is_floating(t) && (!is_floating(w) || size_of(w) < size_of(t))) return false;
    *types = {w, accumulator(fold, w), w, num};
    return true;
}

bool stops(Fold fold) { return fold == Fold::any || fold == Fold::all; }

// How parts of a long fold are joined: not where products of floats would be rounded differently.
Joining joining_of(const Table& table, Fold fold, const Types& types) {
    Joining joining{};
    bool const ordered = fold == Fold::prod && is_floating(types.kernel);
    if (fold_info[index(fold)].index || ordered) return joining;
    joining.stops = stops(fold);
    joining.join = table.elementwise[index(fold_info[index(fold)].ufunc)][index(types.accumulator)];
    joining.size = size_of(types.accumulator);
    joining.from_first = !identity(fold, types.accumulator, joining.neutral.bytes);
    if (fold == Fold::sum && is_floating(types.kernel)) {  // -0.0: 0.0 would change it
        if (joining.size == 8)
            put(joining.neutral.bytes, -0.0);
        else
            put(joining.neutral.bytes, -0.0F);
    }
    return joining;
}

// Folds the first elements of a long run. Whether they decide; if not, only the others are left.
bool first_elements_decide(ReduceFn kernel, Nest& nest) {
    constexpr npy_intp most = 4096;
    if (nest.ndim != 1 || nest.strides[1][0] != 0) return false;
    npy_intp const n = std::min(most, nest.shape[0]), step = nest.strides[0][0];
    char const before = *nest.data[1];
    kernel({nest.data[0], nest.data[1], n, step, 1, 0, 0});
    nest.data[0] += n * step;
    nest.shape[0] -= n;
    return *nest.data[1] != before;
}

// A fold without casts and mask.
void run_fold(const Table& table, ReduceFn kernel, Fold fold, const Types& types, Nest& nest,
              npy_intp n) {
    // What an early element decides is worth neither a plan nor a hand-off.
    if (stops(fold) && n >= long_from && first_elements_decide(kernel, nest)) return;
    run_long(n, cost_of(fold, types.kernel),
             [&](Share share) { run_reduce(kernel, nest, joining_of(table, fold, types), share); });
}

Fold sum_of(DType t) { return t == DType::boolean ? Fold::any : Fold::sum; }

// All elements of a contiguous array, no keywords: straight to the kernel.
PyObject* fold_all(Reduce what, const Active& act, Entry* entry, Fields* f, const Types& types,
                   const ReduceCall& given) {
    Fold const fold = fold_of(what);
    npy_intp const n = size_of(f);
    ReduceFn const kernel = given.kernel(*act.table, fold, types.kernel);
    char* const centre = given.centre ? given.centre->data : nullptr;
    alignas(8) char element[8];
    if (!identity(fold, types.accumulator, element)) {
        if (n == 0) return decline(Why::shape);
        std::memcpy(element, f->data, static_cast<size_t>(size_of(types.kernel)));
    }
    npy_intp const size = size_of(types.kernel);
    auto call = [&] {
        if (n < long_from) [[likely]] {
            kernel({f->data, element, n, size, 1, 0, 0, centre});
            return;
        }
        Nest nest;
        nest.ndim = 1;
        nest.operands = centre ? 3 : 2;
        nest.data[2] = centre;
        nest.strides[2][0] = 0;
        nest.shape[0] = n;
        nest.data[0] = f->data;
        nest.data[1] = element;
        nest.strides[0][0] = size;
        nest.strides[1][0] = 0;
        run_fold(*act.table, kernel, fold, types, nest, n);
    };
    int status = 0;
    if (is_floating(types.kernel) && reports(fold)) {
        clear_fp_status();
        call();
        status = fp_status();
    } else {
        call();
    }
    if (!given.report(status)) return nullptr;
    if (what == Reduce::mean) divide_scalar(element, types.result, static_cast<double>(n));
    count_native(entry, types.kernel, Layout::contiguous, f->nd, f->dimensions);
    return as_scalar(element, types.result, types.result_num);
}

// The axis of a short matrix in C order, no other keywords: one kernel call, without the general
// case's search for an order of axes (a third of the time of 10 x 10). The rows of the kernel are
// those that the general case finds.
PyObject* fold_matrix(Reduce what, const Active& act, Entry* entry, Fields* f, const Types& types,
                      const ReduceCall& given, int axis) {
    Fold const fold = fold_of(what);
    npy_intp const n = f->dimensions[axis], rows = f->dimensions[1 - axis];
    PyArray_Descr* const descr = descr_of_num[types.result_num];
    PyObject* const out = new_array(1, &rows, descr);
    if (!out) return nullptr;
    npy_intp const out_size = size_of(types.accumulator);
    ReduceBlock call{f->data,
                   fields(out)->data,
                   n,
                   n > 1 ? f->strides[axis] : 0,
                   rows,
                   rows > 1 ? f->strides[1 - axis] : 0,
                   rows > 1 ? out_size : 0};
    if (given.centre) {
        call.centre = given.centre->data;
        call.centre_row = given.centre->strides[1 - axis];
    }
    alignas(8) char start[8];
    bool const first_element = !identity(fold, types.accumulator, start);
    Block filling{};
    filling.data[0] = first_element ? f->data : start;
    filling.data[1] = call.out;
    filling.inner[0] = first_element ? call.in_row : 0;
    filling.inner[1] = out_size;
    filling.n = rows;
    filling.rows = 1;
    act.table->cast[index(types.accumulator)][index(types.accumulator)](filling, nullptr);
    bool const reporting = is_floating(types.kernel) && reports(fold);
    if (reporting) clear_fp_status();
    given.kernel(*act.table, fold, types.kernel)(call);
    bool done = what != Reduce::mean ||
                divide_array(*act.table, fields(out), types.result, static_cast<double>(n));
    if (!done) PyErr_NoMemory();
    if (!done || !given.report(reporting ? fp_status() : 0)) {
        Py_DECREF(out);
        return nullptr;
    }
    count_native(entry, types.kernel, Layout::contiguous, f->nd, f->dimensions);
    return out;
}

// Casts `from` (in place) between integer dtypes or int to float: the wide accumulator to the dtype
// asked for.
void convert_element(const Table& table, char* element, DType from, DType to) {
    if (from == to) return;
    alignas(8) char converted[8];
    Block one{};
    one.data[0] = element;
    one.data[1] = converted;
    one.n = one.rows = 1;
    table.cast[index(from)][index(to)](one, nullptr);
    std::memcpy(element, converted, sizeof converted);
}

// Whether `out` can take a result of this shape and dtype in place; Why::none if so.
Why judge_output(PyObject* out, const Fields* f, int nd, const npy_intp* dims, DType result) {
    if (!is_exact(out)) return Why::type;
    Fields const* o = fields(out);
    bool ok = dtype_of(o->descr) == result && o->nd == nd && (o->flags & NPY_ARRAY_WRITEABLE) &&
              !(o->flags & warn_on_write);
    for (int d = 0; ok && d < nd; ++d) ok = o->dimensions[d] == dims[d];
    if (!ok) return Why::keyword;
    return apart(f, o) ? Why::none : Why::overlap;  // where they meet, NumPy works on a copy
}

// The input and, with stride 0 along the folded axes, the result: `out`, or one element.
Nest fold_nest(const Fields* f, const bool* folded, bool keepdims, PyObject* out, char* element) {
    Nest nest;
    nest.ndim = f->nd;
    nest.operands = 2;
    nest.data[0] = f->data;
    nest.data[1] = out ? fields(out)->data : element;
    for (int d = 0, kept = 0; d < f->nd; ++d) {
        nest.shape[d] = f->dimensions[d];
        nest.strides[0][d] = f->strides[d];
        nest.strides[1][d] = folded[d] || !out ? 0 : fields(out)->strides[kept];
        kept += !folded[d] || keepdims;
    }
    return nest;
}

PyObject* arg_reduce(Reduce what, const Active& act, Entry* entry, PyObject* self, DType t,
                     const ReduceCall& call) {
    Fields* const f = fields(self);
    bool keepdims;
    if (!parse_flag(call.given[p_keepdims], &keepdims)) return decline(Why::keyword);
    ReduceFn const kernel = act.table->reduce[index(fold_of(what))][index(t)];
    npy_intp const size = size_of(f);
    if (size == 0) return decline(Why::shape);
    PyObject* const given_out = is_none(call.given[p_out]) ? nullptr : call.given[p_out];
    int axis = -1;
    if (is_none(call.given[p_axis])) {
        if (given_out) return decline(Why::keyword);
        // The index is into the elements in C order: others are put in that order first.
        PyObject* ordered = nullptr;
        if (!(f->flags & NPY_ARRAY_C_CONTIGUOUS)) {
            ordered = c_ordered(self);
            if (!ordered) return nullptr;
        }
        int64_t where = 0;
        const char* const data = ordered ? fields(ordered)->data : f->data;
        run_long(size, cost_of(fold_of(what), t), [&](Share share) {
            where = run_argreduce(kernel, data, size, size_of(t), share);
        });
        Py_XDECREF(ordered);
        count_native(entry, t, layout_of(f), f->nd, f->dimensions);
        if (!keepdims || !f->nd) return PyArray_Scalar(&where, descr_of(DType::int64), nullptr);
        npy_intp ones[NPY_MAXDIMS];
        for (int d = 0; d < f->nd; ++d) ones[d] = 1;
        PyObject* out = new_array(f->nd, ones, descr_of(DType::int64));
        if (out) std::memcpy(fields(out)->data, &where, sizeof where);
        return out;
    }
    bool folded[NPY_MAXDIMS];
    if (!PyLong_CheckExact(call.given[p_axis]) || !parse_axes(call.given[p_axis], f->nd, folded))
        return decline(Why::shape);
    npy_intp dims[NPY_MAXDIMS];
    int nd = 0;
    for (int d = 0; d < f->nd; ++d) {
        if (folded[d]) axis = d;
        if (!folded[d] || keepdims) dims[nd++] = folded[d] ? 1 : f->dimensions[d];
    }
    alignas(8) char element[8];
    PyObject* out = nullptr;
    if (given_out) {
        Why const why = judge_output(given_out, f, nd, dims, DType::int64);
        if (why != Why::none) return decline(why);
        out = new_ref(given_out);
    } else if (nd) {
        out = new_array(nd, dims, descr_of(DType::int64));
        if (!out) return nullptr;
    }
    Nest const nest = fold_nest(f, folded, keepdims, out, element);
    run_long(size, cost_of(fold_of(what), t), [&](Share) { run_argreduce(kernel, nest, axis); });
    count_native(entry, t, layout_of(f), f->nd, f->dimensions);
    if (out) return out;
    return PyArray_Scalar(element, descr_of(DType::int64), nullptr);
}

// ---- outputs of objects
// NumPy (2.4) puts the initial value of a reduction into its output as bytes of the loop's dtype.
// Among objects they overwrite references, and the process ends sooner or later; eight bytes of
// zero are no reference and do no harm. `identity`: PyUFunc_Zero, PyUFunc_One (or another number)
// or PyUFunc_None. True: an error is set.
bool refuses_object_output(PyObject* out, PyArray_Descr* loop, int identity, PyObject* initial) {
    if (out && PyTuple_CheckExact(out) && PyTuple_GET_SIZE(out) == 1)
        out = PyTuple_GET_ITEM(out, 0);
    if (!out || !PyArray_Check(out) || fields(out)->descr->type_num != NPY_OBJECT) return false;
    bool const starts = initial ? initial != Py_None : identity != PyUFunc_None;
    bool const harmless = !initial && identity == PyUFunc_Zero && PyDataType_ELSIZE(loop) == 8;
    if (loop->type_num == NPY_OBJECT || !starts || harmless) return false;
    PyErr_Format(PyExc_TypeError,
                 "a reduction in %S cannot write to an output of dtype object; its dtype may be "
                 "object, or the output's %S",
                 loop, loop);
    return true;
}

PyArray_Descr* loop_of_method(Reduce what, PyObject* self) {
    if (what == Reduce::any || what == Reduce::all) return descr_of(DType::boolean);
    bool const half = PyArray_Check(self) && fields(self)->descr->type_num == NPY_HALF;
    return what == Reduce::mean && half ? descr_of(DType::float32) : nullptr;
}

}  // namespace

void divide_scalar(char* data, DType t, double n) {
    if (t == DType::float64) {
        double s;
        std::memcpy(&s, data, sizeof s);
        put(data, s / n);
    } else {
        float s;
        std::memcpy(&s, data, sizeof s);
        put(data, static_cast<float>(static_cast<double>(s) / n));
    }
}

bool divide_array(const Table& table, Fields* f, DType t, double n) {
    Nest nest;
    nest.ndim = f->nd;
    nest.operands = 3;
    for (int d = 0; d < f->nd; ++d) {
        nest.shape[d] = f->dimensions[d];
        nest.strides[0][d] = nest.strides[2][d] = f->strides[d];
        nest.strides[1][d] = 0;
    }
    nest.data[0] = nest.data[2] = f->data;
    nest.data[1] = reinterpret_cast<char*>(&n);
    simplify(nest);
    Kernel const divide = kernel_of(table, Op::divide, DType::float64);
    if (t == DType::float64) {
        run(divide, nest);
        return true;
    }
    Conversion const conversions[max_arguments] = {
        {table.cast[index(t)][index(DType::float64)], 8},
        {},
        {table.cast[index(DType::float64)][index(t)], 8}};
    return run(divide, nest, conversions);
}

bool refuses_object_output_of(PyObject* out, PyObject* dtype, int identity, PyObject* initial) {
    PyArray_Descr* loop = nullptr;
    if (is_none(out) || is_none(dtype)) return false;
    if (!PyArray_DescrConverter(dtype, &loop)) {
        PyErr_Clear();  // NumPy says what is wrong
        return false;
    }
    bool const refused = refuses_object_output(out, loop, identity, initial);
    Py_DECREF(loop);
    return refused;
}

// The loop that a method or function takes where no dtype is given and NumPy does not leave the
// choice to the ufunc; nullptr: it does.

PyObject* reduce(Reduce what, Entry* entry, PyObject* self, const ReduceCall& call) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (t == no_dtype) return decline(Why::dtype);
    if (fold_info[index(fold_of(what))].index) return arg_reduce(what, act, entry, self, t, call);

    Fold const fold = fold_of(what);
    Types types;
    if (!resolve_types(what, f->descr, call.given[p_dtype], &types))
        return PyErr_Occurred() ? nullptr : decline(Why::dtype);
    ReduceFn const kernel = call.kernel(*act.table, fold, types.kernel);
    if (!kernel) return decline(Why::dtype);

    npy_intp const total = size_of(f);
    if (total == 0 && what == Reduce::mean) return decline(Why::shape);  // NumPy warns
    bool plain = true;
    for (int i = 0; i < n_parameters; ++i) plain &= i == p_axis || !call.given[i];
    plain &= types.kernel == t && types.accumulator == types.result &&
             (f->flags & NPY_ARRAY_C_CONTIGUOUS) != 0;
    PyObject* const axis = call.given[p_axis];
    if (plain && !axis && f->nd) return fold_all(what, act, entry, f, types, call);
    if (npy_intp d; plain && axis && f->nd == 2 && total && total < long_from &&
                    parse_integer(axis, &d) && d >= -2 && d < 2)
        return fold_matrix(what, act, entry, f, types, call, static_cast<int>(d & 1));

    bool keepdims;
    bool folded[NPY_MAXDIMS];
    if (!parse_flag(call.given[p_keepdims], &keepdims)) return decline(Why::keyword);
    if (!parse_axes(call.given[p_axis], f->nd, folded)) return decline(Why::shape);

    // The mask of where=, broadcast to the array (never the other way round).
    PyObject* const mask = call.given[p_where] == Py_True ? nullptr : call.given[p_where];
    npy_intp mask_strides[NPY_MAXDIMS];
    if (mask) {
        if (!is_exact(mask) || fields(mask)->descr != descr_of(DType::boolean) ||
            what == Reduce::mean)
            return decline(Why::keyword);
        Fields const* m = fields(mask);
        if (m->nd > f->nd) return decline(Why::shape);
        int const first = f->nd - m->nd;
        for (int d = 0; d < f->nd; ++d) mask_strides[d] = 0;
        for (int d = 0; d < m->nd; ++d) {
            if (m->dimensions[d] == 1) continue;
            if (m->dimensions[d] != f->dimensions[first + d]) return decline(Why::shape);
            mask_strides[first + d] = m->strides[d];
        }
    }

    // What the outputs start with.
    alignas(8) char start[8];
    bool first_element = !identity(fold, types.accumulator, start);
    alignas(8) char fill[8];  // for elements that the mask leaves out, in the kernel's dtype
    identity(fold, types.kernel, fill);
    PyObject* const initial = call.given[p_initial];
    if (initial) {
        if (!scalar_element(initial, types.accumulator, start)) return decline(Why::value);
        first_element = false;
        if (traits[index(fold)].identity < 0) std::memcpy(fill, start, sizeof fill);
    }
    npy_intp folded_count = 1;
    for (int d = 0; d < f->nd; ++d)
        if (folded[d]) folded_count *= f->dimensions[d];
    if (first_element && (mask || folded_count == 0))
        return decline(Why::shape);  // NumPy: no identity

    // The result: kept axes in the input's order, as NumPy's iterator lays it out.
    npy_intp dims[NPY_MAXDIMS];
    int nd = 0;
    for (int d = 0; d < f->nd; ++d)
        if (!folded[d] || keepdims) dims[nd++] = folded[d] ? 1 : f->dimensions[d];
    PyObject* out = nullptr;
    int perm[max_dims];  // of the result's axes
    alignas(8) char element[8];
    PyObject* const given_out = call.given[p_out] && PyTuple_CheckExact(call.given[p_out]) &&
                                        PyTuple_GET_SIZE(call.given[p_out]) == 1
                                    ? PyTuple_GET_ITEM(call.given[p_out], 0)
                                    : call.given[p_out];
    if (!is_none(given_out)) {
        if (types.result != types.accumulator) return decline(Why::keyword);
        Why const why = judge_output(given_out, f, nd, dims, types.result);
        if (why != Why::none) return decline(why);
        if (mask) return decline(Why::keyword);
        out = new_ref(given_out);
    } else if (nd) {
        // The order is found among all axes, as in NumPy: those folded push others about, too.
        Nest order;
        order.ndim = f->nd;
        order.operands = mask ? 2 : 1;
        int place[max_dims];  // of each axis in the result; -1: none
        for (int d = 0, kept = 0; d < f->nd; ++d) {
            order.shape[d] = f->dimensions[d];
            order.strides[0][d] = f->strides[d];
            order.strides[1][d] = mask ? mask_strides[d] : 0;
            place[d] = folded[d] && !keepdims ? -1 : kept++;
        }
        int all[max_dims];
        k_order(order, order.operands, all);
        for (int i = 0, kept = 0; i < f->nd; ++i)
            if (place[all[i]] >= 0) perm[kept++] = place[all[i]];
        out =
            new_array_ordered(nd, dims, perm, descr_of_num[num_of_dtype[index(types.accumulator)]]);
        if (!out) return nullptr;
        if (types.accumulator == types.result &&
            fields(out)->descr != descr_of_num[types.result_num]) {
            // longlong and long share a kernel; the descriptor is the input's
            Py_INCREF(descr_of_num[types.result_num]);
            PyArray_Descr* old = fields(out)->descr;
            fields(out)->descr = descr_of_num[types.result_num];
            Py_DECREF(old);
        }
    }

    Nest nest = fold_nest(f, folded, keepdims, out, element);
    if (call.centre) {
        nest.operands = 3;
        nest.data[2] = call.centre->data;
        for (int d = 0; d < f->nd; ++d) nest.strides[2][d] = call.centre->strides[d];
    }

    // Fill the outputs: with `start`, or with the first element of each fold.
    Nest filling = fold_nest(f, folded, keepdims, out, element);
    if (!first_element) {
        filling.data[0] = start;
        for (int d = 0; d < f->nd; ++d) filling.strides[0][d] = 0;
    }
    for (int d = 0; d < f->nd; ++d)
        if (folded[d]) filling.shape[d] = 1;
    simplify(filling);
    DType const filled = first_element ? t : types.accumulator;
    run({act.table->cast[index(filled)][index(types.accumulator)]}, filling);

    bool const reporting = is_floating(types.kernel) && reports(fold);
    if (reporting) clear_fp_status();
    Conversion const conversion = {
        types.kernel == t ? nullptr : act.table->cast[index(t)][index(types.kernel)],
        size_of(types.kernel)};
    bool done = true;
    if (total == 0) {
        // outputs keep what they start with
    } else if (mask) {
        nest.operands = 3;
        nest.data[2] = fields(mask)->data;
        for (int d = 0; d < f->nd; ++d) nest.strides[2][d] = mask_strides[d];
        done =
            run_reduce_masked(kernel, kernel_of(*act.table, Op::where, types.kernel),
                              nest, conversion, fill);
    } else if (conversion.cast) {
        run_long(total, cost_of(fold, types.kernel) + cast_cost,
                 [&](Share share) { done = run_reduce(kernel, nest, conversion, share); });
    } else {
        run_fold(*act.table, kernel, fold, types, nest, total);
    }
    if (done && what == Reduce::mean) {
        if (out)
            done = divide_array(*act.table, fields(out), types.result,
                                static_cast<double>(folded_count));
        else
            divide_scalar(element, types.result, static_cast<double>(folded_count));
    }
    if (!done) {
        Py_XDECREF(out);
        return PyErr_NoMemory();
    }
    if (!call.report(reporting ? fp_status() : 0)) {
        Py_XDECREF(out);
        return nullptr;
    }
    count_native(entry, types.kernel, layout_of(f), f->nd, f->dimensions);
    if (!out) {
        convert_element(*act.table, element, types.accumulator, types.result);
        return as_scalar(element, types.result, types.result_num);
    }
    if (types.accumulator == types.result) return out;
    // The dtype asked for is narrower than the accumulator: convert the (small) result.
    PyObject* narrow = new_array_ordered(nd, dims, perm, descr_of_num[types.result_num]);
    if (narrow)
        copy_nest(*act.table, nd, dims, fields(out)->data, fields(out)->strides, types.accumulator,
                  fields(narrow)->data, fields(narrow)->strides, types.result);
    Py_DECREF(out);
    return narrow;
}

PyObject* reduce_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                        Py_ssize_t nargs, PyObject* kwnames) {
    auto const what = static_cast<Reduce>(which);
    ReduceCall call{};
    if (nargs || kwnames) {
        const Form& form = form_of(what);
        PyObject* slots[max_parameters];
        if (!form.signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
        for (int i = 0; i < form.signature.n; ++i) call.given[form.parameter[i]] = slots[i];
    }
    if (PyObject* const out = call.given[p_out]; out && out != Py_None) [[unlikely]] {
        int const identity = traits[index(fold_of(what))].identity;  // -1 is PyUFunc_None
        PyArray_Descr* const loop =
            is_none(call.given[p_dtype]) ? loop_of_method(what, self) : nullptr;
        if (loop ? refuses_object_output(out, loop, identity, call.given[p_initial])
                 : refuses_object_output_of(out, call.given[p_dtype], identity,
                                            call.given[p_initial]))
            return nullptr;
    }
    return reduce(what, entry, self, call);
}

bool refuses_ufunc_reduce(PyObject* ufunc, PyObject* const* args, Py_ssize_t nargs,
                          PyObject* kwnames) {
    PyObject* slots[max_parameters];
    if ((!nargs && !kwnames) || !sum_form.signature.parse(args, nargs, kwnames, slots))
        return false;
    static_assert(p_dtype == 1 && p_out == 2 && p_initial == 4);  // as the signature has them
    if (is_none(slots[p_out]) || is_none(slots[p_dtype])) return false;
    PyObject* const value = PyObject_GetAttrString(ufunc, "identity");
    if (!value) return true;
    int const identity = value == Py_None      ? PyUFunc_None
                         : PyObject_Not(value) ? PyUFunc_Zero
                                               : PyUFunc_One;
    Py_DECREF(value);
    return refuses_object_output_of(slots[p_out], slots[p_dtype], identity, slots[p_initial]);
}

PyObject* ufunc_reduce_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                              Py_ssize_t nargs, PyObject* kwnames) {
    PyObject* slots[max_parameters];
    if (!sum_form.signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
    ReduceCall call{};
    for (int i = 0; i < sum_form.signature.n; ++i) call.given[sum_form.parameter[i]] = slots[i];
    static PyObject* const zero = PyLong_FromLong(0);
    if (!call.given[p_axis]) call.given[p_axis] = zero;  // None means all, absent means 0
    if (is_exact(self) && fields(self)->nd == 0) return decline(Why::shape);
    return reduce(static_cast<Reduce>(which), entry, self, call);
}

ReduceFn sum_kernel(const Table& table, DType t) {
    Fold const fold = sum_of(t);
    return accumulator(fold, t) == t ? table.reduce[index(fold)][index(t)] : nullptr;
}

void sum_into(const Table& table, DType t, Nest nest) {
    run_fold(table, sum_kernel(table, t), sum_of(t), {t, t, t, num_of_dtype[index(t)]}, nest,
             count(nest));
}

void init_reductions() {
    for (int i = 0; i < n_folds; ++i) {
        reduce_entry[i] = new_entry(fold_info[i].name);
        traits[i] = {&arg_form, -1};
        if (fold_info[i].index) continue;
        DType const small = accumulator(static_cast<Fold>(i), DType::int8);
        traits[i].form = small == DType::int64     ? &sum_form
                         : small == DType::boolean ? &any_form
                                                   : &min_form;
        auto const ufunc = pybind11::handle(ufunc_of(fold_info[i].ufunc).numpy);
        auto const value = pybind11::object(ufunc.attr("identity"));
        if (!value.is_none()) traits[i].identity = value.cast<bool>();
    }
    reduce_entry[n_folds] = new_entry("mean");
}

}  // namespace raptors
