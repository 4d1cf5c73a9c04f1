// Memory of arrays: 64-byte aligned blocks, kept for reuse after they are freed.
#pragma once
#include <cstddef>
#include <cstdint>

namespace raptors {

// Every thread keeps short freed blocks for itself; longer ones, and what a thread has no room for,
// go to lists that all share. The last freed is the first reused. What lies in the shared lists for
// ten seconds is given back: by the next call, or by a thread of the pool, if there is one. A block
// is at most 1/4 longer than asked for (and 64 bytes). Its capacity stands in a header in front of
// it.
constexpr size_t block_unit = 64;
constexpr size_t small_block = 2048;

// Capacities: the multiples of block_unit up to small_block, then eight for each power of two.
struct SizeClass {
    int index;
    size_t capacity;
};
constexpr SizeClass size_class(size_t bytes) noexcept {
    if (bytes <= small_block) {
        size_t const units = bytes ? (bytes + block_unit - 1) / block_unit : 1;
        return {static_cast<int>(units) - 1, units * block_unit};
    }
    constexpr int small_power = 63 - __builtin_clzll(small_block);
    constexpr int first_power = small_power - static_cast<int>(small_block / block_unit / 8);
    int const power = 63 - __builtin_clzll(bytes - 1);  // bytes in (2^power, 2^(power+1)]
    size_t const step = size_t{1} << (power - 3);
    size_t const capacity = (bytes + step - 1) & ~(step - 1);
    auto const eighth = static_cast<int>((capacity - (size_t{1} << power)) / step);  // 1..8
    return {8 * (power - first_power) + eighth - 1, capacity};
}

char* block_new(size_t bytes) noexcept;  // nullptr: out of memory
char* block_new_zeroed(size_t bytes) noexcept;
char* block_resize(char* block, size_t bytes) noexcept;  // nullptr: `block` is as it was
void block_delete(char* block) noexcept;
constexpr size_t capacity_before = 48;  // bytes in front of a block
inline size_t block_capacity(const char* block) noexcept {
    return *reinterpret_cast<const size_t*>(block - capacity_before);
}

struct BlockStats {
    uint64_t live_bytes;                   // capacities of the blocks in use
    uint64_t cached_bytes, cached_blocks;  // kept by threads and in the shared lists
    uint64_t hits, misses;                 // blocks that came from there, or fresh
    uint64_t mapped_bytes;                 // of big blocks, which are mappings of their own
};
BlockStats block_stats() noexcept;

// What is kept is at most this; 0: nothing. A thread that keeps blocks follows a lower limit when
// it next frees one. The default is the smaller of 1 GiB and 1/8 of the memory that the process may
// use.
void set_block_cache_limit(size_t bytes) noexcept;
size_t block_cache_limit() noexcept;
// Gives back what the shared lists and the calling thread keep.
void trim_blocks() noexcept;

// Gives back what has been idle for too long; in how many seconds there may be more, 0: nothing is
// kept.
int give_back_idle_blocks() noexcept;
// `kept` is called when a block has come to the shared lists.
void watch_kept_blocks(void (*kept)()) noexcept;

// For debugging: fresh blocks are filled with 0xA5 and freed ones with 0xDB; `fault` is called with
// what is wrong when a freed block was written beyond its end or is freed again. Before the first
// block is made.
void debug_blocks(void (*fault)(const char* what)) noexcept;

}  // namespace raptors
