#include "ops/reduce.h"

#include <algorithm>
#include <deque>
#include <sstream>
#include <string>

#include "creation/copying.h"
#include "frame/run/expression.h"
#include "ops/reduce_call.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace raptors {
namespace {

// ---- the rows at run time
struct Form {
    Signature signature;            // after the array
    int parameter[max_parameters];  // which Parameter each slot is
};
Form forms[n_reductions];
Entry* combine_entries[n_combines];
bool gives_python_ints;  // the installed NumPy, where a row says so

// As ufunc.reduce has them.
Form ufunc_form = {{6, 6, {"axis", "dtype", "out", "keepdims", "initial", "where"}, {}},
                   {p_axis, p_dtype, p_out, p_keepdims, p_initial, p_where}};

constexpr const char* parameter_names[] = {"axis",  "dtype", "out",  "keepdims",   "initial",
                                           "where", "ddof",  "mean", "correction", "ord"};

// "axis out * where": those after the star by keyword only.
void read_parameters(const char* text, Form& form) {
    static std::deque<std::string> kept;
    std::istringstream words(text);
    form.signature.n = 0;
    form.signature.positional = -1;
    for (std::string word; words >> word;) {
        if (word == "*") {
            form.signature.positional = form.signature.n;
            continue;
        }
        int const slot = form.signature.n++;
        form.signature.names[slot] = kept.emplace_back(word).c_str();
        form.parameter[slot] = static_cast<int>(std::ranges::find(parameter_names, word) -
                                                std::begin(parameter_names));
    }
    if (form.signature.positional < 0) form.signature.positional = form.signature.n;
}

bool is_plain_call(const ReduceCall& call) {
    uintptr_t given = 0;
    for (int i = p_dtype; i <= p_where; ++i) given |= reinterpret_cast<uintptr_t>(call.given[i]);
    return given == 0;
}

// NaN may be among the elements, and is to be replaced.
bool replaces_nans(const ReduceCall& call, DType t) {
    return call.steps.map.kind == Map::NAN_IS_IDENTITY && is_inexact(t);
}

// What the program of this call needs.
bool has_kernels(const Table& table, const ReduceCall& call, DType from, DType t) {
    bool const masked = call.given[p_where] && call.given[p_where] != Py_True;
    bool const replaces = replaces_nans(call, t);
    return table.cast[index(from)][index(t)] &&
           (!(masked || replaces) || table.elementwise[index(Op::where)][index(t)]) &&
           (!replaces || table.elementwise[index(Op::isnan)][index(t)]);
}

// Reduces the first elements of a long run. Whether they decide; if not, only the others are left.
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

// A reduction without casts and mask.
void run_kernel(const Table& table, ReduceFn kernel, Combine combine, const ReduceTypes& types,
                Nest& nest, npy_intp n) {
    // What an early element decides is worth neither a plan nor a hand-off.
    if (n >= long_from && combine_info[index(combine)].has(CombineInfo::DECIDES) &&
        first_elements_decide(kernel, nest))
        return;
    run_long(n, cost_of(combine, types.kernel), [&](WorkSplit split) {
        run_reduce(kernel, nest, joining_of(table, combine, types), split);
    });
}

PyObject* scalar_result(const ReduceCall& call, const Element& element, const ReduceTypes& types) {
    bool const whole_number = gives_python_ints && call.steps.finish.has(Finish::PYTHON_INT);
    PyObject* const keepdims = call.given[p_keepdims];
    bool const sums = !is_none(call.given[p_axis]) || (keepdims && keepdims != Py_False);
    if (!whole_number || sums) [[likely]]
        return as_scalar(element, types.result, types.result_num);
    int64_t whole;
    std::memcpy(&whole, element.bytes, sizeof whole);
    return PyLong_FromLongLong(whole);
}

// Whether the results hold a NaN of which NumPy warns: then it does it all again.
bool has_nan(const ReduceCall& call, const Table& table, DType t, const Nest& results, bool* done) {
    return call.steps.finish.has(Finish::WARNS_OF_NAN) && is_inexact(t) &&
           any_nan(table, t, results, done);
}

// All elements of a contiguous array, no keywords: straight to the kernel.
PyObject* reduce_all(const Table& table, ReduceFn kernel, Entry* entry, Fields* f,
                     const ReduceTypes& types, const ReduceCall& given) {
    npy_intp const n = count_of(f);
    char* const centre = given.centre ? given.centre->data : nullptr;
    Element element;
    if (!identity(given.combine(), types.accumulator, element)) {
        if (n == 0) return decline(Why::shape);
        std::memcpy(element, f->data, static_cast<size_t>(item_size(types.kernel)));
    }
    npy_intp const size = item_size(types.kernel);
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
        run_kernel(table, kernel, given.combine(), types, nest, n);
    };
    int status = 0;
    if (given.reports(types.kernel)) {
        clear_fp_status();
        call();
        status = fp_status();
    } else {
        call();
    }
    if (!given.report(status)) return nullptr;
    if (given.computes())
        finish_element(element, types.result, given.steps.finish, static_cast<double>(n));
    if (given.steps.finish.has(Finish::WARNS_OF_NAN)) {
        Nest one;
        one.ndim = 0;
        one.operands = 1;
        one.data[0] = element;
        bool done = true;
        if (has_nan(given, table, types.result, one, &done)) return decline(Why::value);
        if (!done) return PyErr_NoMemory();
    }
    count_native(entry, types.kernel, Layout::contiguous, f->nd, f->dimensions);
    return scalar_result(given, element, types);
}

// The axis of a short matrix in C order, no other keywords: one kernel call, without the general
// case's search for an order of axes (a third of the time of 10 x 10). The rows of the kernel are
// those that the general case finds.
PyObject* reduce_matrix(const Table& table, Entry* entry, Fields* f, const ReduceTypes& types,
                        const ReduceCall& given, int axis) {
    npy_intp const n = f->dimensions[axis], rows = f->dimensions[1 - axis];
    PyObject* const out = new_array(1, &rows, descr_of_num[types.result_num]);
    if (!out) return nullptr;
    npy_intp const out_size = item_size(types.accumulator);
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
    Element start;
    bool const first_element = !identity(given.combine(), types.accumulator, start);
    Block filling{};
    filling.data[0] = first_element ? f->data : start;
    filling.data[1] = call.out;
    filling.inner[0] = first_element ? call.in_row : 0;
    filling.inner[1] = out_size;
    filling.n = rows;
    filling.rows = 1;
    table.cast[index(types.accumulator)][index(types.accumulator)](filling, nullptr);
    bool const reporting = given.reports(types.kernel);
    if (reporting) clear_fp_status();
    given.kernel(table, types.kernel)(call);
    bool done = !given.computes() || finish_array(table, fields(out), types.result,
                                                  given.steps.finish, static_cast<double>(n));
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
void convert_element(const Table& table, Element& element, DType from, DType to) {
    if (from == to) return;
    Element converted;
    Block one{};
    one.data[0] = element;
    one.data[1] = converted;
    one.n = one.rows = 1;
    table.cast[index(from)][index(to)](one, nullptr);
    element = converted;
}

// ---- any axes, layout, dtype, output, mask
class AnyReduce {
public:
    AnyReduce(const Table& table, Entry* entry, Fields* f, const ReduceTypes& types,
              const ReduceCall& call)
        : table_(table), entry_(entry), f_(f), types_(types), call_(call), t_(dtype_of(f->descr)) {}
    AnyReduce(const AnyReduce&) = delete;
    AnyReduce& operator=(const AnyReduce&) = delete;
    ~AnyReduce() { Py_XDECREF(out_); }

    PyObject* run();

private:
    // False: declined, or an error is set.
    bool refuse(Why why) {
        declined = why;
        return false;
    }
    bool read_axes();
    bool read_mask();
    bool read_start();
    bool make_output();
    void fill();
    bool run_program(const Nest& nest, WorkSplit split) const;
    bool combine();
    bool finish();
    PyObject* result();

    const Table& table_;
    Entry* const entry_;
    Fields* const f_;
    const ReduceTypes& types_;
    const ReduceCall& call_;
    DType const t_;
    bool keepdims_ = false, reduced_[NPY_MAXDIMS];
    npy_intp dims_[NPY_MAXDIMS];  // of the result
    int nd_ = 0, perm_[max_dims];
    npy_intp reduced_count_ = 1;
    PyObject* mask_ = nullptr;
    npy_intp mask_strides_[NPY_MAXDIMS];
    bool first_element_ = false;  // the outputs start with the first element of each row, or
    Element start_, neutral_;     // with this; what masked elements count as
    PyObject* out_ = nullptr;     // nullptr: the result is
    Element element_;             // this
};

bool AnyReduce::read_axes() {
    if (!parse_flag(call_.given[p_keepdims], &keepdims_)) return refuse(Why::keyword);
    if (!parse_axes(call_.given[p_axis], f_->nd, reduced_)) return refuse(Why::shape);
    for (int d = 0; d < f_->nd; ++d) {
        if (reduced_[d]) reduced_count_ *= f_->dimensions[d];
        if (!reduced_[d] || keepdims_) dims_[nd_++] = reduced_[d] ? 1 : f_->dimensions[d];
    }
    return true;
}

// The mask of where=, broadcast to the array (never the other way round).
bool AnyReduce::read_mask() {
    mask_ = call_.given[p_where] == Py_True ? nullptr : call_.given[p_where];
    if (!mask_) return true;
    if (!is_exact(mask_) || fields(mask_)->descr != descr_of(DType::boolean) || call_.divides())
        return refuse(Why::keyword);
    Fields const* m = fields(mask_);
    if (m->nd > f_->nd) return refuse(Why::shape);
    int const first = f_->nd - m->nd;
    for (int d = 0; d < f_->nd; ++d) mask_strides_[d] = 0;
    for (int d = 0; d < m->nd; ++d) {
        if (m->dimensions[d] == 1) continue;
        if (m->dimensions[d] != f_->dimensions[first + d]) return refuse(Why::shape);
        mask_strides_[first + d] = m->strides[d];
    }
    return true;
}

bool AnyReduce::read_start() {
    first_element_ = !identity(call_.combine(), types_.accumulator, start_);
    bool const has_neutral = identity(call_.combine(), types_.kernel, neutral_);
    if (PyObject* const initial = call_.given[p_initial]) {
        if (!scalar_element(initial, types_.accumulator, start_)) return refuse(Why::value);
        first_element_ = false;
        if (!has_neutral) neutral_ = start_;
    }
    // NumPy: no identity
    return !(first_element_ && (mask_ || reduced_count_ == 0)) || refuse(Why::shape);
}

bool AnyReduce::make_output() {
    PyObject* const given = single_output(call_.given[p_out]);
    if (given) {
        if (types_.result != types_.accumulator) return refuse(Why::keyword);
        Why const why = judge_output(given, f_, nd_, dims_, types_.result);
        if (why != Why::none) return refuse(why);
        if (mask_) return refuse(Why::keyword);
        out_ = new_ref(given);
    } else if (nd_) {
        bool const copied =
            call_.steps.map.kind == Map::SQUARE ||
            (call_.steps.map.kind == Map::TRUTH ? t_ != types_.kernel : replaces_nans(call_, t_));
        out_ = new_output(f_, copied, reduced_, keepdims_, mask_ ? mask_strides_ : nullptr, types_,
                          perm_);
        if (!out_) return false;
    }
    return true;
}

void AnyReduce::fill() {
    Nest filling = reduce_nest(f_, reduced_, keepdims_, out_, element_);
    if (!first_element_) {
        filling.data[0] = start_;
        for (int d = 0; d < f_->nd; ++d) filling.strides[0][d] = 0;
    }
    for (int d = 0; d < f_->nd; ++d)
        if (reduced_[d]) filling.shape[d] = 1;
    simplify(filling);
    DType const filled = first_element_ ? t_ : types_.accumulator;
    raptors::run({table_.cast[index(filled)][index(types_.accumulator)]}, filling);
}

// Elements that are cast, replaced where they are NaN, and replaced where the mask leaves them out.
bool AnyReduce::run_program(const Nest& nest, WorkSplit split) const {
    Expression program;
    DType const t = types_.kernel;
    int const size = item_size(t);
    Expression::Value x = program.operand(0, item_size(t_));
    if (t != t_) x = program.cast(table_.cast[index(t_)][index(t)], x, size);
    Kernel const select = kernel_of(table_, Op::where, t);
    if (replaces_nans(call_, t)) {
        auto const nan = program.apply(kernel_of(table_, Op::isnan, t), {x});
        Element none;
        identity(call_.combine(), t, none);
        x = program.apply(select, {nan, program.constant(none, size), x});
    }
    if (mask_)
        x = program.apply(select, {program.operand(2, item_size(DType::boolean)), x,
                                   program.constant(neutral_, size)});
    program.reduce(call_.kernel(table_, t), x);
    return program.run(nest, split);
}

// False: out of memory.
bool AnyReduce::combine() {
    Nest nest = reduce_nest(f_, reduced_, keepdims_, out_, element_);
    if (call_.centre || mask_) {
        nest.operands = 3;
        nest.data[2] = mask_ ? fields(mask_)->data : call_.centre->data;
        const npy_intp* const strides = mask_ ? mask_strides_ : call_.centre->strides;
        for (int d = 0; d < f_->nd; ++d) nest.strides[2][d] = strides[d];
    }
    npy_intp const total = count_of(f_);
    if (total == 0) return true;  // outputs keep what they start with
    DType const t = types_.kernel;
    if (!mask_ && t == t_ && !replaces_nans(call_, t)) {
        run_kernel(table_, call_.kernel(table_, t), call_.combine(), types_, nest, total);
        return true;
    }
    bool done = true;
    run_long(total, cost_of(call_.combine(), t) + cast_cost,
             [&](WorkSplit split) { done = run_program(nest, split); });
    return done;
}

// False: declined, or an error is set.
bool AnyReduce::finish() {
    bool done = true;
    auto const n = static_cast<double>(reduced_count_);
    if (call_.computes() && out_)
        done = finish_array(table_, fields(out_), types_.result, call_.steps.finish, n);
    else if (call_.computes())
        finish_element(element_, types_.result, call_.steps.finish, n);
    if (call_.steps.finish.has(Finish::WARNS_OF_NAN)) {
        Nest results = reduce_nest(f_, reduced_, keepdims_, out_, element_);
        for (int d = 0; d < f_->nd; ++d) {
            results.strides[0][d] = results.strides[1][d];
            if (reduced_[d]) results.shape[d] = 1;
        }
        results.data[0] = results.data[1];
        if (has_nan(call_, table_, types_.accumulator, results, &done)) return refuse(Why::value);
    }
    if (!done) PyErr_NoMemory();
    return done;
}

// In the dtype asked for, or that of the elements where the accumulator is wider.
PyObject* AnyReduce::result() {
    if (!out_) {
        convert_element(table_, element_, types_.accumulator, types_.result);
        return scalar_result(call_, element_, types_);
    }
    if (types_.accumulator == types_.result) return new_ref(out_);
    PyObject* const narrow = new_array_ordered(nd_, dims_, perm_, descr_of_num[types_.result_num]);
    if (narrow)
        copy_nest(table_, nd_, dims_, fields(out_)->data, fields(out_)->strides, types_.accumulator,
                  fields(narrow)->data, fields(narrow)->strides, types_.result);
    return narrow;
}

PyObject* AnyReduce::run() {
    if (!read_axes() || !read_mask() || !read_start() || !make_output()) return nullptr;
    fill();
    bool const reporting = call_.reports(types_.kernel);
    if (reporting) clear_fp_status();
    if (!combine()) return PyErr_NoMemory();
    if (!finish()) return nullptr;
    PyObject* const made = result();  // rounding it may raise an event, too
    if (!call_.report(reporting ? fp_status() : 0)) {
        Py_XDECREF(made);
        return nullptr;
    }
    DType const counted_as = computed(t_) == types_.kernel ? t_ : types_.kernel;
    if (made) count_native(entry_, counted_as, layout_of(f_), f_->nd, f_->dimensions);
    return made;
}

}  // namespace

PyObject* reduce(Entry* entry, PyObject* self, const ReduceCall& call) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (t == no_dtype) return decline(Why::dtype);
    if (call.info().is_index()) return arg_reduce(entry, self, t, call);
    if (is_complex(t) && call.combine() == Combine::add) return sum_of_parts(entry, self, call);

    ReduceTypes types;
    if (!resolve_types(call, f->descr, t, &types))
        return PyErr_Occurred() ? nullptr : decline(Why::dtype);
    ReduceFn const kernel = call.kernel(*act.table, types.kernel);
    if (!kernel) return decline(Why::dtype);

    npy_intp const total = count_of(f);
    if (total == 0 && call.divides()) return decline(Why::shape);  // NumPy warns
    bool const plain = is_plain_call(call) && types.kernel == t &&
                       types.accumulator == types.result && !replaces_nans(call, t) &&
                       (f->flags & NPY_ARRAY_C_CONTIGUOUS) != 0;
    PyObject* const axis = call.given[p_axis];
    if (plain && !axis && f->nd) return reduce_all(*act.table, kernel, entry, f, types, call);
    if (npy_intp d; plain && axis && f->nd == 2 && total && total < long_from &&
                    !call.steps.finish.has(Finish::WARNS_OF_NAN) && parse_integer(axis, &d) &&
                    d >= -2 && d < 2)
        return reduce_matrix(*act.table, entry, f, types, call, static_cast<int>(d & 1));
    if (!plain && !has_kernels(*act.table, call, t, types.kernel)) return decline(Why::dtype);
    return AnyReduce(*act.table, entry, f, types, call).run();
}

Entry* entry_of(Combine combine) { return combine_entries[index(combine)]; }

namespace {

// The loop that a method or function takes where no dtype is given and NumPy does not leave the
// choice to the ufunc; nullptr: it does.
PyArray_Descr* loop_of(const ReduceCall& call, PyObject* self) {
    if (call.info().accumulator == CombineInfo::BOOL) return descr_of(DType::boolean);
    bool const half = PyArray_Check(self) && fields(self)->descr->type_num == NPY_HALF;
    bool const averages = call.divides() && call.steps.map.kind == Map::ELEMENTS;
    return averages && half ? descr_of(DType::float32) : nullptr;
}

}  // namespace

PyObject* reduce_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                        Py_ssize_t nargs, PyObject* kwnames) {
    int const number = which & ~as_function;
    ReduceCall call = calling(static_cast<Reduction>(number));
    if (nargs || kwnames) {
        const Form& form = forms[number];
        PyObject* slots[max_parameters];
        if (!form.signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
        for (int i = 0; i < form.signature.n; ++i) call.given[form.parameter[i]] = slots[i];
    }
    if (PyObject* const out = call.given[p_out]; out && out != Py_None) [[unlikely]] {
        int const identity = call.info().identity;  // -1 is PyUFunc_None
        PyArray_Descr* const loop = is_none(call.given[p_dtype]) ? loop_of(call, self) : nullptr;
        if (loop ? refuses_object_output(out, loop, identity, call.given[p_initial])
                 : refuses_object_output_of(out, call.given[p_dtype], identity,
                                            call.given[p_initial]))
            return nullptr;
    }
    if (call.is_of_several()) [[unlikely]]
        return reduce_by_several(entry, self, call, (which & as_function) != 0);
    return reduce(entry, self, call);
}

bool refuses_ufunc_reduce(PyObject* ufunc, PyObject* const* args, Py_ssize_t nargs,
                          PyObject* kwnames) {
    PyObject* slots[max_parameters];
    if ((!nargs && !kwnames) || !ufunc_form.signature.parse(args, nargs, kwnames, slots))
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

PyObject* ufunc_reduce_native(int which, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                              PyObject* kwnames) {
    PyObject* slots[max_parameters];
    if (!ufunc_form.signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
    auto const combine = static_cast<Combine>(which);
    ReduceCall call = combining(combine);
    for (int i = 0; i < ufunc_form.signature.n; ++i) call.given[ufunc_form.parameter[i]] = slots[i];
    static PyObject* const zero = PyLong_FromLong(0);
    if (!call.given[p_axis]) call.given[p_axis] = zero;  // None means all, absent means 0
    if (is_exact(self) && fields(self)->nd == 0) return decline(Why::shape);
    return reduce(entry_of(combine), self, call);
}

namespace {

Combine adding(DType t) { return t == DType::boolean ? Combine::logical_or : Combine::add; }

}  // namespace

ReduceFn sum_kernel(const Table& table, DType t) {
    Combine const combine = adding(t);
    return accumulator(combine, t) == t ? table.reduce[index(combine)][index(t)] : nullptr;
}

void sum_into(const Table& table, DType t, Nest nest) {
    run_kernel(table, sum_kernel(table, t), adding(t), {t, t, t, num_of_dtype[index(t)]}, nest,
               count(nest));
}

void init_reductions() {
    init_reduce_types();
    auto const numpy = import_module("numpy");
    for (int i = 0; i < n_reductions; ++i) {
        const ReductionInfo& row = reduction_info[i];
        read_parameters(row.parameters, forms[i]);
        if (row.steps.finish.has(Finish::PYTHON_INT))
            gives_python_ints =
                PyLong_CheckExact(numpy.attr(row.name)(numpy.attr("ones")(1)).ptr());
        // ufunc.reduce is counted as the function that does nothing else.
        Entry*& combined = combine_entries[index(row.steps.combine)];
        if (!combined && row.steps.map.kind == Map::ELEMENTS && !row.steps.finish.steps)
            combined = new_entry(row.name);
    }
    for (int c = 0; c < n_combines; ++c)
        if (!combine_entries[c]) combine_entries[c] = new_entry(combine_info[c].name);
}

}  // namespace raptors
