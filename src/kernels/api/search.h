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

struct SearchTable {
    SearchFn search[n_dtypes];
};

}  // namespace raptors
