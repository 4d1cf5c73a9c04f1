// Allocations that fail on purpose, for tests.
#pragma once
#include <atomic>
#include <cstdint>

namespace raptors {

struct AllocationFaults {
    std::atomic<int64_t> left{0};  // allocations until one fails; 0: none will
    bool sticky = false;           // all after it fail, too
};
extern AllocationFaults allocation_faults;

// The n-th allocation of scratch memory or of a block from now fails; 0: none.
void fail_allocation(int64_t n, bool sticky) noexcept;

// Called by each allocation.
inline bool allocation_fails() noexcept {
    if (allocation_faults.left.load(std::memory_order_relaxed) == 0) [[likely]]
        return false;
    int64_t const left = allocation_faults.left.fetch_sub(1, std::memory_order_relaxed);
    if (left > 1) return false;
    allocation_faults.left.store(allocation_faults.sticky ? 1 : 0, std::memory_order_relaxed);
    return true;
}

}  // namespace raptors
