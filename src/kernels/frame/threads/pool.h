// The threads that share the work of long calls.
#pragma once
#include <cstddef>
#include <cstdint>

namespace raptors {

// Who works on a call.
struct Team {
    int threads;    // at most, with the calling one
    bool wake;      // whether threads that sleep are woken: it takes them 10 to 50 microseconds
    double ns = 0;  // what the call would take one thread; 0: unknown
    bool forwards = false;  // always from the first chunk on: it may decide what becomes of others
};
constexpr Team alone = {1, false};
constexpr int64_t spin_ns = 30'000;  // what a worker waits for a call before it sleeps
constexpr int most_threads = 256;
constexpr ptrdiff_t most_chunks = 4096;

// The team for a call that takes one thread `ns`, at most `threads` of them. A thread that has just
// worked pays for itself at once (measured: 0.1 to 0.5 us a hand-off), one that sleeps only in a
// long call.
Team team_for(double ns, int threads) noexcept;
// Such a call has ended, whoever worked: a run of calls that follow closely wakes a sleeping worker
// as a long one does.
void end_call() noexcept;

// chunk(context, i) for each i in [0, chunks), in any order (by one thread in that of i, or from
// the other end in every second call whose length is known), at the same time, by the calling
// thread and by those of its team that come in time; `chunks` is at most most_chunks. Ends when all
// are done. Floating-point status raised in any thread is raised in the calling one. Within a
// chunk, and while another thread has the pool, everything is done by the calling thread.
using ChunkFn = void (*)(void* context, ptrdiff_t chunk) noexcept;
void run_chunks(ptrdiff_t chunks, ChunkFn chunk, void* context, Team team) noexcept;

template <class Body>
void for_chunks(ptrdiff_t chunks, Team team, const Body& body) noexcept {
    run_chunks(
        chunks,
        [](void* context, ptrdiff_t chunk) noexcept {
            (*static_cast<const Body*>(context))(chunk);
        },
        const_cast<Body*>(&body), team);
}

// How long a call must take one thread, in nanoseconds, before others help: those that have just
// worked, and those that must be woken. 0 and 0: every call is shared, for tests.
struct PoolLimits {
    double hot_ns, parked_ns;
};
void set_pool_limits(PoolLimits limits) noexcept;
PoolLimits pool_limits() noexcept;

// Ends all threads, and forgets what was learnt of them; the next call that wants them starts new
// ones.
void stop_pool() noexcept;

struct PoolStats {
    int workers;              // threads that exist now
    uint64_t shared, lonely;  // calls done by several threads; those that found the pool taken
    uint64_t chunks, helped;  // chunks of shared calls, and those that workers did
    uint64_t stalls;          // calls that waited for a worker without a processor
};
PoolStats pool_stats() noexcept;

// The n-th thread from now cannot be started, nor those after it; 0: all can. For tests.
void fail_thread(int64_t n) noexcept;

}  // namespace raptors
