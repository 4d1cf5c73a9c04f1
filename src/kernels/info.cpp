// The tables as data, for readers at run time.
#include "api/elementwise.h"
#include "api/reduce.h"

namespace raptors {
namespace {

constexpr uint32_t bits_of_kind(char kind) {
    uint32_t bits = 0;
#define DTYPE(id, type, letter, text) \
    if (kind == #letter[0]) bits |= 1U << static_cast<int>(DType::id);
#include "tables/dtypes.def"
    return bits;
}

constexpr uint32_t BOOLEANS = bits_of_kind('B');
constexpr uint32_t INTEGER = bits_of_kind('I') | bits_of_kind('U');
constexpr uint32_t FLOATING = bits_of_kind('F');
constexpr uint32_t NUMERIC = INTEGER | FLOATING;
constexpr uint32_t ANY = NUMERIC | BOOLEANS;

constexpr bool REPORTS = true;
constexpr bool QUIET = false;
constexpr bool EXACT = true;
constexpr bool PAIRWISE = false;

// The boolean kernels that BOOLEAN rows add.
constexpr uint32_t borrowed(Op op) {
    switch (op) {
#define BOOLEAN(name, row) \
    case Op::name:         \
        return BOOLEANS;
#include "tables/ops.def"
        default:
            return 0;
    }
}

// The third columns: what elementwise rows store, what folds accumulate in.
enum class Stored { SAME, WIDE, BOOL };

constexpr Result result_of(Stored stored) {
    return stored == Stored::BOOL ? Result::boolean : Result::same;
}

constexpr Stored accumulator_of(Fold fold) {
    switch (fold) {
#define REDUCE(name, ufunc, types, accumulator, ...) \
    case Fold::name:                                 \
        return Stored::accumulator;
#include "tables/reductions.def"
        default:
            return Stored::SAME;
    }
}

}  // namespace

const OpInfo op_info[n_ops] = {
#define UNARY(name, types, result, status, formula, doc) \
    {#name, 1, types | borrowed(Op::name), result_of(Stored::result), status, doc},
#define BINARY(name, types, result, status, formula, doc) \
    {#name, 2, types | borrowed(Op::name), result_of(Stored::result), status, doc},
#define TERNARY(name, types, result, status, formula, doc) \
    {#name, 3, types | borrowed(Op::name), result_of(Stored::result), status, doc},
#define MATH1(name, types, ulp32, ulp64, low, high, filler, formula, doc) \
    {#name, 1, types, Result::same, REPORTS, doc, {ulp32, ulp64, low, high}},
#include "tables/ops.def"
};

const FoldInfo fold_info[n_folds] = {
#define REDUCE(name, ufunc, types, accumulator, family, doc) \
    {#name, Op::ufunc, types, family, false, doc},
#define ARGREDUCE(name, types, doc) {#name, Op::count, types, true, true, doc},
#include "tables/reductions.def"
};

const DTypeInfo dtype_info[n_dtypes] = {
#define DTYPE(id, type, kind, text) {text, #kind[0], static_cast<int>(sizeof(type))},
#include "tables/dtypes.def"
};

const AliasInfo alias_info[] = {
#define ALIAS(name, row) {#name, Op::row},
#include "tables/ops.def"
};
const int n_aliases = static_cast<int>(sizeof alias_info / sizeof alias_info[0]);

DType accumulator(Fold fold, DType t) noexcept {
    auto const f = static_cast<size_t>(fold);
    if (f < static_cast<size_t>(n_folds) && fold_info[f].index) return DType::int64;
    switch (accumulator_of(fold)) {
        case Stored::BOOL:
            return DType::boolean;
        case Stored::WIDE: {
            char const kind = dtype_info[static_cast<size_t>(t)].kind;
            if (kind == 'F') return t;
            return kind == 'U' ? DType::uint64 : DType::int64;
        }
        default:
            return t;
    }
}

}  // namespace raptors
