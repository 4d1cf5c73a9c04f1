// Memory of our own: a scratch arena per thread, and the blocks that arrays live in.
#pragma once
#include <cstddef>
#include <cstdint>

namespace raptors {

// Scratch memory of the calling thread, given back in reverse order of taking; 64-byte aligned;
// nullptr: out of memory. Never handed to another thread, never kept beyond the native call that
// took it.
class Scratch {
public:
    explicit Scratch(size_t bytes) noexcept;
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    char* get() const noexcept { return data_; }

private:
    char* data_;
    size_t taken_;
};

// Bytes the calling thread's arena has handed out since start, and bytes it holds from the system.
struct ScratchStats {
    uint64_t taken;
    uint64_t held;
};
ScratchStats scratch_stats() noexcept;

// Blocks of array data: 64-byte aligned, capacity known from a header in front of the block. Big
// freed blocks are kept for reuse (last in, first out) up to a cap, since a fresh one costs page
// faults. Thread-safe. Capacities of small blocks: requests are rounded up to one of these two,
// bigger ones as below.
constexpr size_t tiny_block = 128, small_block = 1024;
char* block_new(size_t bytes) noexcept;
char* block_new_zeroed(size_t bytes) noexcept;
char* block_resize(char* block, size_t bytes) noexcept;
void block_delete(char* block) noexcept;
size_t block_capacity(const char* block) noexcept;

struct BlockStats {
    uint64_t cached_bytes, cached_blocks, hits, misses;
};
BlockStats block_stats() noexcept;
void set_block_cache_limit(size_t bytes) noexcept;  // RAPTORS_CACHE_MAX_BYTES; 0: keep nothing
size_t block_cache_limit() noexcept;
void trim_blocks() noexcept;  // gives every cached block back

}  // namespace raptors
