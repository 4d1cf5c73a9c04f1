// The tables as data, for readers at run time.
#include "api/elementwise.h"
#include "api/reduce.h"
#include "api/scan.h"

namespace raptors {
namespace {

constexpr uint32_t bits_of_kind(char kind) {
    uint32_t bits = 0;
#define DTYPE(id, type, letter, ...) \
    if (kind == #letter[0]) bits |= 1U << static_cast<int>(DType::id);
#include "tables/dtypes.def"
    return bits;
}

constexpr uint32_t BOOLEANS = bits_of_kind('B');
constexpr uint32_t INTEGER = bits_of_kind('I') | bits_of_kind('U');
constexpr uint32_t FLOATING = bits_of_kind('F');
constexpr uint32_t NUMERIC = INTEGER | FLOATING;
constexpr uint32_t ANY = NUMERIC | BOOLEANS;
constexpr uint32_t COMPLEX = bits_of_kind('C');
// Those that kernels compute in.
constexpr uint32_t COMPUTED = 0
#define DTYPE(id, type, kind, text, computes, real) \
    | (DType::id == DType::computes ? 1U << static_cast<int>(DType::id) : 0)
#include "tables/dtypes.def"
    ;

constexpr bool REPORTS = true;
constexpr bool QUIET = false;
constexpr Accuracy EXACT{};

constexpr Cost LIGHT = {0, 0};
constexpr Cost DIVISION = {0.15F, 0.5F};  // the least of what processors of the last ten years need
constexpr Cost POLYNOMIAL = {0.15F, 0.5F};

// Accuracy of reductions.
enum Family { FAMILY_EXACT, FAMILY_PAIRWISE };

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

// A row of ops.def, its signature taken apart.
constexpr OpInfo elementwise_row(const char* name, uint32_t types, const char* signature,
                                 bool reports, int traits, Accuracy accuracy, Cost cost,
                                 const char* doc) {
    uint32_t const events = (traits & INTEGER_EVENTS) != 0 ? types : FLOATING | COMPLEX;
    uint32_t const reporting = reports ? types & events : 0;
    OpInfo row{name,     signature, 0,  0, {}, types, reporting, static_cast<uint8_t>(traits),
               accuracy, cost,      doc};
    const char* s = signature;
    for (; *s != '-'; ++s) row.letters[row.inputs++] = *s;
    for (s += 2; *s; ++s) row.letters[row.inputs + row.outputs++] = *s;
    return row;
}

// What folds and scans accumulate in.
enum class Stored { SAME, WIDE, BOOL };

DType stored_dtype(Stored stored, DType t) {
    switch (stored) {
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

constinit const OpInfo op_info[n_ops] = {
#define UNARY(name, types, signature, status, traits, accuracy, cost, formula, doc)               \
    elementwise_row(#name, types | borrowed(Op::name), signature, status, traits, accuracy, cost, \
                    doc),
#define BINARY UNARY
#define TERNARY UNARY
#define MATH1(name, types, ulp32, ulp64, low, high, filler, formula, doc)                        \
    elementwise_row(#name, types, "T->T", REPORTS, PLAIN, {ulp32, ulp64, low, high}, POLYNOMIAL, \
                    doc),
#include "tables/ops.def"
};

DType argument_dtype(Op op, int argument, DType t) noexcept {
    switch (op_info[static_cast<size_t>(op)].letters[argument]) {
        case '?':
            return DType::boolean;
        case 'i':
            return DType::int32;
        case 'R':
            return real_part(t);
        default:
            return t;
    }
}

Kernel kernel_of(const ElementwiseTable& table, Op op, DType t) noexcept {
    const OpInfo& info = op_info[static_cast<size_t>(op)];
    Kernel kernel;
    kernel.function = table.elementwise[static_cast<size_t>(op)][static_cast<size_t>(t)];
    kernel.inputs = info.inputs;
    kernel.outputs = info.outputs;
    for (int i = 0; i < kernel.arguments(); ++i) kernel.dtypes[i] = argument_dtype(op, i, t);
    return kernel;
}

const FoldInfo fold_info[n_folds] = {
#define REDUCE(name, ufunc, types, accumulator, family, doc) \
    {#name, Op::ufunc, types, FAMILY_##family == FAMILY_EXACT, false, doc},
#define ARGREDUCE(name, types, doc) {#name, Op::count, types, true, true, doc},
#include "tables/reductions.def"
};

const DTypeInfo dtype_info[n_dtypes] = {
#define DTYPE(id, type, kind, text, computes, real) \
    {text, #kind[0], static_cast<int>(sizeof(type)), DType::computes, DType::real},
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
    return stored_dtype(accumulator_of(fold), t);
}

const ScanInfo scan_info[n_scans] = {
#define SCAN(combine, types, accumulator, doc) \
    {Op::combine, (types) & COMPUTED,          \
     Stored::accumulator == Stored::BOOL ? BOOLEANS : (types) & COMPUTED, doc},
#include "tables/scans.def"
};

DType accumulator(Scan scan, DType t) noexcept {
    constexpr Stored stored[n_scans] = {
#define SCAN(combine, types, accumulator, doc) Stored::accumulator,
#include "tables/scans.def"
    };
    return stored_dtype(stored[static_cast<size_t>(scan)], t);
}

// A last row of nothing: there may be no other.
const CumulativeInfo cumulative_info[] = {
#define CUMULATIVE(name, combine) {#name, Scan::combine},
#include "tables/scans.def"
    {nullptr, Scan::count}};
const int n_cumulative = static_cast<int>(sizeof cumulative_info / sizeof cumulative_info[0]) - 1;

}  // namespace raptors
