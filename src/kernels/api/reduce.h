// Reductions: reductions.def, read at compile time and as data.
#pragma once
#include "api/block.h"

namespace raptors {

enum class Op : uint8_t;

// Kernels that reduce, in the order of reductions.def.
enum class Combine : uint8_t {
#define COMBINE(name, ...) name,
#include "tables/reductions.def"
    count
};
constexpr int n_combines = static_cast<int>(Combine::count);

// Public functions, in the order of reductions.def.
enum class Reduction : uint8_t {
#define REDUCTION(name, ...) name,
#include "tables/reductions.def"
    count
};
constexpr int n_reductions = static_cast<int>(Reduction::count);

struct ReduceTable {
    ReduceFn reduce[n_combines][n_dtypes];  // by input dtype; the output has accumulator(c, dtype)
    // Floats: sums of (in - centre)^2, rounded as subtraction, multiplication and the sum are.
    ReduceFn deviation[n_dtypes];
};

struct CombineInfo {
    enum Identity : int8_t { NONE = -1, ZERO, ONE };
    enum Accumulator : uint8_t { SAME, WIDE, BOOL, INDEX };
    enum Trait : uint8_t { PLAIN = 0, SIGNED_ZERO = 1, ORDERED = 2, DECIDES = 4 };

    const char* name;
    Op ufunc;  // whose reduce it is; Op::count: none
    uint32_t types;
    Identity identity;
    Accumulator accumulator;
    uint8_t traits;
    bool exact;  // bit-identical to NumPy; otherwise within the bound of pairwise summation

    constexpr bool has(Trait trait) const noexcept { return (traits & trait) != 0; }
    constexpr bool is_index() const noexcept { return accumulator == INDEX; }
};
extern const CombineInfo combine_info[n_combines];

// What is combined, and what becomes of it: as reductions.def says.
struct Map {
    // Those from SQUARE on take a function of their own (bindings/ops/statistics.cpp).
    enum Kind : uint8_t { ELEMENTS, TRUTH, NAN_IS_IDENTITY, SQUARE, DEVIATION } kind;
    Reduction centre = Reduction::count;  // of deviations
};
struct Finish {
    enum Step : uint8_t {
        NOTHING = 0,
        DIVIDE = 1,
        ROOT = 2,
        PYTHON_INT = 4,
        WARNS_OF_NAN = 8,
        MINUS = 16
    };
    uint8_t steps;
    Reduction subtrahend = Reduction::count;

    constexpr bool has(Step step) const noexcept { return (steps & step) != 0; }
};
struct ReductionSteps {
    Map map;
    Combine combine;
    Finish finish;
};

struct ReductionInfo {
    enum Home : uint8_t { METHOD, FUNCTION, LINALG };

    const char* name;
    Home home;
    const char* parameters;
    ReductionSteps steps;
    uint32_t types;
    bool exact;
    const char* doc;
};
extern const ReductionInfo reduction_info[n_reductions];

// Output dtype of a kernel for inputs of dtype t.
DType accumulator(Combine combine, DType t) noexcept;

}  // namespace raptors
