// What a thread has to do of a job of the pool, and has done.
#pragma once
#include <atomic>

#include "frame/threads/pool.h"

namespace raptors {

constexpr size_t cache_line = 64;

// job | first chunk | end: what is left of a thread's share of a job. One word, so nobody ever sees
// a new job with the chunks of an old one.
constexpr int chunk_bits = 16;
constexpr uint64_t without_first = uint64_t{1} << chunk_bits,
                   without_last = ~uint64_t{0};  // to add
inline uint64_t share_of(uint32_t job, ptrdiff_t first, ptrdiff_t end) noexcept {
    return uint64_t{job} << 2 * chunk_bits | static_cast<uint64_t>(first) << chunk_bits |
           static_cast<uint64_t>(end);
}
inline uint32_t job_of(uint64_t share) noexcept {
    return static_cast<uint32_t>(share >> 2 * chunk_bits);
}
inline ptrdiff_t first_of(uint64_t share) noexcept {
    return static_cast<ptrdiff_t>(share >> chunk_bits & 0xffff);
}
inline ptrdiff_t end_of(uint64_t share) noexcept { return static_cast<ptrdiff_t>(share & 0xffff); }
static_assert(most_chunks <= 0xffff);

// Floating-point status raised | number of chunks: what a worker has done of a job.
inline uint32_t done_of(int status, ptrdiff_t count) noexcept {
    return static_cast<uint32_t>(status) << chunk_bits | static_cast<uint32_t>(count);
}
inline int status_of(uint32_t done) noexcept { return static_cast<int>(done >> chunk_bits); }
inline ptrdiff_t count_of(uint32_t done) noexcept { return done & 0xffff; }

// What the job's caller (number 0) and each worker has to do and has done: one cache line, which a
// worker watches for the next job, and its caller then for the chunks' ends. A line's way from core
// to core takes 50 to 100 ns, so a hand-off is made of as few as can be.
struct alignas(cache_line) Order {
    std::atomic<uint64_t> share{0};
    std::atomic<ChunkFn> chunk{nullptr};
    std::atomic<void*> context{nullptr};
    std::atomic<int> members{0};         // workers that the job wants: those of lower number
    std::atomic<bool> wake{false};       // whether they wake each other
    std::atomic<bool> backwards{false};  // from which end its thread goes
    std::atomic<double> expected{0};     // nanoseconds of a chunk; 0: unknown
    std::atomic<uint32_t> begun{0};      // the last job of which its thread has taken a chunk
    std::atomic<uint32_t> done{0};       // by its worker, of its share and others'
};
static_assert(sizeof(Order) == cache_line);

}  // namespace raptors
