// Kernels that search in sorted elements.
#pragma once
#include "api/types.h"

namespace raptors {

// For each of n_keys keys its position among n elements in ascending order, NaN last: before the
// elements equal to it, or behind them. All is contiguous and aligned.
struct SearchBlock {
    const char* sorted;
    ptrdiff_t n;
    const char* keys;
    ptrdiff_t n_keys;
    int64_t* positions;
    bool behind;
};
using SearchFn = void (*)(const SearchBlock&) noexcept;

// Straight lines between samples y at ascending x, n > 1 of them and none NaN, at n_at places:
// NumPy's interp.
struct InterpolateBlock {
    const double *x, *y;
    ptrdiff_t n;
    const double* at;
    ptrdiff_t n_at;
    double* out;
    double left, right;  // below the first and above the last x
};
using InterpolateFn = void (*)(const InterpolateBlock&) noexcept;

struct SearchTable {
    SearchFn search[n_dtypes];
    InterpolateFn interpolate;
};

}  // namespace raptors
