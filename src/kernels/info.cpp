// The tables as data, for readers at run time.
#include <string_view>

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
    OpInfo row{name,     signature, 0,  0, {}, 0, types, reporting, static_cast<uint8_t>(traits),
               accuracy, cost,      doc};
    const char* s = signature;
    for (; *s != '-'; ++s) row.letters[row.inputs++] = *s;
    for (s += 2; *s; ++s) row.letters[row.inputs + row.outputs++] = *s;
    row.uniform = row.outputs == 1 ? row.letters[row.inputs] : '\0';
    for (int i = 0; i < row.inputs; ++i)
        if (row.letters[i] != 'T') row.uniform = '\0';
    return row;
}

// What scans accumulate in.
enum class Stored { SAME, WIDE, BOOL };

DType stored_dtype(Stored stored, DType t) {
    switch (stored) {
        case Stored::BOOL:
            return DType::boolean;
        case Stored::WIDE:
            if (is_inexact(t)) return t;
            return kind_of(t) == 'U' ? DType::uint64 : DType::int64;
        default:
            return t;
    }
}

// The row of ops.def of that name; Op::count: there is none.
constexpr Op op_named(std::string_view name) {
#define UNARY(op, ...) \
    if (name == #op) return Op::op;
#define BINARY UNARY
#define TERNARY UNARY
#include "tables/ops.def"
    return Op::count;
}

// The words of reductions.def.
namespace reductions {
using enum CombineInfo::Identity;
using enum CombineInfo::Accumulator;
using enum CombineInfo::Trait;
enum Accuracy { EXACT, PAIRWISE };

constexpr CombineInfo combine_row(const char* name, uint32_t types, CombineInfo::Identity identity,
                                  CombineInfo::Accumulator accumulator, int traits,
                                  Accuracy accuracy) {
    return {name,
            op_named(name),
            accumulator == CombineInfo::INDEX ? types & COMPUTED : types,
            identity,
            accumulator,
            static_cast<uint8_t>(traits),
            accuracy == EXACT};
}
constexpr CombineInfo combines[n_combines] = {
#define COMBINE(name, ...) combine_row(#name, __VA_ARGS__),
#include "tables/reductions.def"
};
}  // namespace reductions

namespace functions {
using enum Finish::Step;
using enum ReductionInfo::Home;
using reductions::EXACT;
using reductions::PAIRWISE;
constexpr Map ELEMENTS{Map::ELEMENTS}, TRUTH{Map::TRUTH}, NAN_IS_IDENTITY{Map::NAN_IS_IDENTITY},
    SQUARE{Map::SQUARE};
constexpr Map deviation_from(Reduction centre) { return {Map::DEVIATION, centre}; }
constexpr Finish minus(Reduction row) { return {MINUS, row}; }
constexpr Finish finish_of(Finish finish) { return finish; }
constexpr Finish finish_of(int steps) { return {static_cast<uint8_t>(steps)}; }

// Dtypes whose kernels of ops.def a finish calls.
constexpr uint32_t finished_types(Finish finish) {
    constexpr uint32_t subtracted = 0
#define BINARY(name, types, ...) | (Op::name == Op::subtract ? (types) : 0U)
#include "tables/ops.def"
        ;
    // NumPy divides half precision and complex numbers in ways of their own, and squares them so.
    return finish.has(MINUS)                        ? subtracted & COMPUTED
           : finish.has(DIVIDE) || finish.has(ROOT) ? COMPUTED & ~COMPLEX
                                                    : ~0U;
}

constexpr ReductionInfo row(const char* name, ReductionInfo::Home home, const char* parameters,
                            Map map, Combine combine, Finish finish, reductions::Accuracy accuracy,
                            const char* doc) {
    uint32_t const types = reductions::combines[static_cast<int>(combine)].types;
    return {name,
            home,
            parameters,
            {map, combine, finish},
            types & finished_types(finish),
            accuracy == EXACT,
            doc};
}
constexpr ReductionInfo rows[n_reductions] = {
#define REDUCTION(name, home, parameters, map, combine, finish, accuracy, doc) \
    row(#name, home, parameters, map, Combine::combine, finish_of(finish), accuracy, doc),
#include "tables/reductions.def"
};
}  // namespace functions

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

constinit const CombineInfo combine_info[n_combines] = {
#define COMBINE(name, ...) reductions::combines[static_cast<int>(Combine::name)],
#include "tables/reductions.def"
};

constinit const ReductionInfo reduction_info[n_reductions] = {
#define REDUCTION(name, ...) functions::rows[static_cast<int>(Reduction::name)],
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

DType accumulator(Combine combine, DType t) noexcept {
    switch (combine_info[static_cast<size_t>(combine)].accumulator) {
        case CombineInfo::BOOL:
            return DType::boolean;
        case CombineInfo::INDEX:
            return DType::int64;
        case CombineInfo::WIDE:
            if (is_inexact(t)) return t;
            return kind_of(t) == 'U' ? DType::uint64 : DType::int64;
        default:
            return t;
    }
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
