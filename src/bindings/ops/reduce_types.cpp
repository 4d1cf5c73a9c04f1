#include <cmath>

#include "dispatch.h"
#include "frame/run/expression.h"
#include "ops/reduce_call.h"

namespace raptors {
Element identities[n_combines][n_dtypes];

namespace {

Element neutrals[n_combines][n_dtypes];  // as identities; of floats 0.0 is none, but -0.0 is

// A kernel of one input over one element.
void apply(KernelFn kernel, const Element& from, Element& to) {
    Block one{};
    one.data[0] = const_cast<char*>(from.bytes);
    one.data[1] = to.bytes;
    one.n = one.rows = 1;
    kernel(one, nullptr);
}

}  // namespace

ReduceTypes function_types[n_reductions][n_dtypes], combine_types[n_combines][n_dtypes];

namespace {

void init_identities() {
    const Table& table = *raptors::table(Isa::scalar);
    for (int c = 0; c < n_combines; ++c) {
        const CombineInfo& info = combine_info[c];
        if (info.identity == CombineInfo::NONE) continue;
        Element value{};
        store(value.bytes, static_cast<int64_t>(info.identity));
        for (int t = 0; t < n_dtypes; ++t) {
            if (KernelFn const cast = table.cast[index(DType::int64)][t])
                apply(cast, value, identities[c][t]);
            neutrals[c][t] = identities[c][t];
            KernelFn const negative = table.elementwise[index(Op::negative)][t];
            if (info.has(CombineInfo::SIGNED_ZERO) && is_inexact(static_cast<DType>(t)) && negative)
                apply(negative, identities[c][t], neutrals[c][t]);
        }
    }
}

}  // namespace

Joining joining_of(const Table& table, Combine combine, const ReduceTypes& types) {
    const CombineInfo& info = combine_info[index(combine)];
    Joining joining{};
    if (info.is_index() || (info.has(CombineInfo::ORDERED) && is_inexact(types.kernel)))
        return joining;
    joining.stops = info.has(CombineInfo::DECIDES);
    joining.join = table.elementwise[index(info.ufunc)][index(types.accumulator)];
    joining.size = item_size(types.accumulator);
    joining.from_first = info.identity == CombineInfo::NONE;
    joining.neutral = neutrals[index(combine)][index(types.accumulator)];
    return joining;
}

namespace {

// NumPy divides complex numbers in another way, and takes the mean of half precision in single.
bool divides_in_float64(DType t) { return is_floating(t) && item_size(t) >= 4; }

// False: not a dtype in which sums of t are formed here.
bool sums_in(DType wanted, DType t) {
    if (wanted == no_dtype || wanted == DType::boolean) return false;
    if (wanted == t) return true;
    // Truncating a wide integer sum equals summing in the narrow type; narrowing floats would raise
    // events in the cast.
    if (is_inexact(t) && (kind_of(wanted) != kind_of(t) || item_size(wanted) < item_size(t)))
        return false;
    return !is_inexact(wanted) || divides_in_float64(wanted);
}

ReduceTypes types_of(const ReductionSteps& steps, DType own) {
    const CombineInfo& info = combine_info[index(steps.combine)];
    bool const truth = steps.map.kind == Map::TRUTH, divides = steps.finish.has(Finish::DIVIDE);
    DType t = truth ? DType::boolean : own;
    if ((divides || steps.map.kind == Map::SQUARE) && !is_inexact(t)) t = DType::float64;
    if (divides && !divides_in_float64(t)) return {no_dtype, no_dtype, no_dtype, 0};
    DType const gives = accumulator(steps.combine, t);
    bool const own_number = t == own && (info.accumulator == CombineInfo::SAME ||
                                         (info.accumulator == CombineInfo::WIDE && gives == own));
    // Half precision is reduced in single, and rounded once.
    DType const kernel = computed(t);
    return {kernel, accumulator(steps.combine, kernel), gives,
            own_number ? -1 : num_of_dtype[index(gives)]};
}

}  // namespace

void init_reduce_types() {
    init_identities();
    for (int t = 0; t < n_dtypes; ++t) {
        auto const own = static_cast<DType>(t);
        for (int i = 0; i < n_reductions; ++i)
            function_types[i][t] = types_of(reduction_info[i].steps, own);
        for (int c = 0; c < n_combines; ++c)
            combine_types[c][t] = types_of(combining(static_cast<Combine>(c)).steps, own);
    }
}

bool resolve_given(const ReduceCall& call, DType t, ReduceTypes* types) {
    PyArray_Descr* wanted = nullptr;
    if (call.info().accumulator != CombineInfo::WIDE || call.steps.map.kind == Map::TRUTH)
        return false;
    if (!PyArray_DescrConverter(call.given[p_dtype], &wanted)) return false;
    DType const w = dtype_of(wanted);
    int const num = wanted->type_num;
    Py_DECREF(wanted);
    if (!sums_in(w, t) || (call.divides() && !divides_in_float64(w))) return false;
    *types = {w, accumulator(call.combine(), w), w, num};
    return true;
}

namespace {

// Every operand is the array.
Nest nest_of(Fields* f, int operands) {
    Nest nest;
    nest.ndim = f->nd;
    nest.operands = operands;
    for (int i = 0; i < operands; ++i) {
        nest.data[i] = f->data;
        for (int d = 0; d < f->nd; ++d) nest.strides[i][d] = f->strides[d];
    }
    for (int d = 0; d < f->nd; ++d) nest.shape[d] = f->dimensions[d];
    return nest;
}

bool divide_array(const Table& table, Fields* f, DType t, double n) {
    Nest nest = nest_of(f, 3);
    nest.data[1] = reinterpret_cast<char*>(&n);
    for (int d = 0; d < f->nd; ++d) nest.strides[1][d] = 0;
    simplify(nest);
    Kernel const divide = kernel_of(table, Op::divide, DType::float64);
    if (t == DType::float64) {
        run(divide, nest);
        return true;
    }
    int const size = item_size(DType::float64);
    Conversion const conversions[max_arguments] = {
        {table.cast[index(t)][index(DType::float64)], size},
        {nullptr, size},
        {table.cast[index(DType::float64)][index(t)], size}};
    return run(divide, nest, conversions);
}

}  // namespace

bool finish_array(const Table& table, Fields* f, DType t, const Finish& finish, double n) {
    if (finish.has(Finish::DIVIDE) && !divide_array(table, f, t, n)) return false;
    if (!finish.has(Finish::ROOT)) return true;
    Nest nest = nest_of(f, 2);
    simplify(nest);
    run(kernel_of(table, Op::sqrt, t), nest);
    return true;
}

bool any_nan(const Table& table, DType t, const Nest& nest, bool* done) {
    char found = 0;
    Nest whole;
    copy_used_axes(nest, whole);
    whole.operands = 2;
    whole.data[1] = &found;
    for (int a = 0; a < whole.ndim; ++a) whole.strides[1][a] = 0;
    Expression program;
    program.reduce(
        table.reduce[index(Combine::logical_or)][index(DType::boolean)],
        program.apply(kernel_of(table, Op::isnan, t), {program.operand(0, item_size(t))}),
        Expression::piece_of_sums, true);
    *done = program.run(whole);
    return found;
}

}  // namespace raptors
