// How many processors this process may use, and what caches they have.
#pragma once
#include <cstddef>

namespace raptors {

// Those of its affinity mask, and no more than the quota of its control group allows; at least 1.
// `root` stands for "/", for tests.
int usable_processors(const char* root = "") noexcept;

// Bytes of a processor's own L1 (of data) and L2, and of L3, which it shares; of
// usual ones where the system does not say.
struct CacheSizes {
    ptrdiff_t l1, l2, l3;
};
CacheSizes cache_sizes() noexcept;

}  // namespace raptors
