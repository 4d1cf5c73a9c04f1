// Scratch memory: an arena per thread.
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

// Bytes that the calling thread has taken since its start, from its arena and, where that was too
// short, from the heap; and bytes that its arena holds.
struct ScratchStats {
    uint64_t taken, from_heap, held;
};
ScratchStats scratch_stats() noexcept;

}  // namespace raptors
