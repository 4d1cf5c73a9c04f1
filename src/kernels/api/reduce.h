// Reductions: reductions.def, read at compile time and as data.
#pragma once
#include "api/block.h"

namespace raptors {

// Reductions, then arg-reductions, in the order of reductions.def.
enum class Fold : uint8_t {
#define REDUCE(name, ...) name,
#define ARGREDUCE(name, ...) name,
#include "tables/reductions.def"
    count
};
constexpr int n_folds = static_cast<int>(Fold::count);

struct ReduceTable {
    ReduceFn reduce[n_folds][n_dtypes];  // by input dtype; the output has accumulator(fold, dtype)
    // Floats: sums of (in - centre)^2, rounded as subtraction, multiplication and the sum are.
    ReduceFn deviation[n_dtypes];
};

enum class Op : uint8_t;

struct FoldInfo {
    const char* name;
    Op ufunc;  // Op::count for argmin and argmax
    uint32_t types;
    bool exact;  // bit-identical to NumPy; otherwise within the bound of pairwise summation
    bool index;  // argmin, argmax
    const char* doc;
};
extern const FoldInfo fold_info[n_folds];

// Output dtype of a reduction's kernel for inputs of dtype t.
DType accumulator(Fold fold, DType t) noexcept;

}  // namespace raptors
