#include "frame/threads/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include <atomic>

#include "frame/fp/fpstatus.h"
#include "frame/memory/caching_allocator.h"
#include "frame/threads/clock.h"
#include "frame/threads/order.h"
#include "frame/threads/thread_local.h"
#include "frame/threads/wake_affinity.h"

namespace raptors {
namespace {

constexpr int64_t close_ns = 30'000;  // calls closer together count as one for waking a worker
// A chunk that takes so long, and so many times what it should, stalled: another process has its
// worker's core, and keeps it for milliseconds.
constexpr int64_t late_ns = 500'000;
constexpr double late_times = 16;
constexpr int64_t patience_ns = 30'000;  // for somebody else's chunk: how long one is that fits L2
constexpr int64_t retry_ns = 1'000'000'000;  // after the system refused a thread
constexpr double factor_least = 10, factor_most = 800;
constexpr size_t stack_bytes = size_t{1} << 20;

Order orders[most_threads];

struct alignas(cache_line) Worker {
    pthread_t thread;
    long id;  // the system's
    std::atomic<bool> sleeps{false};
    Placement placement;  // its waker has the mutex
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t bell;
    std::atomic<int64_t> rests_until{0};  // 0: it does not
    int64_t rested = 0;                   // how long the last rest was
    double factor = factor_least;         // how long, in stalls
};

struct Pool {
    alignas(cache_line) std::atomic<uint32_t> job{0};  // the last one
    std::atomic<double> typical{0};  // nanoseconds of a chunk, as its caller finds it
    alignas(cache_line) std::atomic<bool> stop{false};
    alignas(cache_line) std::atomic<int> awake{0};  // workers that do not sleep

    // The job's caller has it, or whoever changes the workers.
    alignas(cache_line) pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    bool ready = false;
    std::atomic<int> workers{0};
    int64_t refused = 0;  // when the system last refused a thread

    std::atomic<int64_t> last_rest{0};  // the end of the last worker's rest
    std::atomic<int64_t> last_end{0};   // of a call that was long enough to ask for a team
    std::atomic<double> close{0};       // nanoseconds of a run of calls close after one another
    std::atomic<int64_t> since{0};      // as if the run had begun then, without gaps; 0: no call
    std::atomic<uint64_t> shared{0}, lonely{0}, chunks{0}, helped{0}, stalls{0};
};
Pool pool;
Worker workers[most_threads - 1];
std::atomic<int64_t> threads_left{0};  // until one fails; 0: none does
std::atomic<bool> unwatched{false};    // the first worker sleeps without looking at idle blocks
std::atomic<double> hot_limit{5'000}, parked_limit{100'000};

// ---- sleeping and waking

void ring(Worker& w) noexcept {
    if (!w.sleeps.load(std::memory_order_seq_cst)) return;
    pthread_mutex_lock(&w.mutex);
    if (w.sleeps.exchange(false)) {
        w.placement.make_way(w.id);
        pthread_cond_signal(&w.bell);
    }
    pthread_mutex_unlock(&w.mutex);
}

bool rests(const Worker& w, int64_t time) noexcept {
    return time < w.rests_until.load(std::memory_order_relaxed);
}

// Each woken worker wakes two more: the caller would spend microseconds on each.
void wake_next(int number, int members, int64_t time) noexcept {
    for (int next = 2 * number + 1; next <= 2 * number + 2 && next <= members; ++next) {
        if (rests(workers[next - 1], time))
            wake_next(next, members, time);
        else
            ring(workers[next - 1]);
    }
}

// After a chunk, at `time`. Counted in calls a rest would be too short after short ones, so it is a
// multiple of what was lost: a longer one each time, until the worker has worked as long as it
// rested.
void judge(Worker& w, double expected, int64_t begin, int64_t time) noexcept {
    int64_t const taken = time - begin;
    if (expected <= 0 || taken <= late_ns) return;
    double const typical = pool.typical.load(std::memory_order_relaxed);
    if (expected < typical) expected = typical;
    if (static_cast<double>(taken) <= late_times * expected) return;
    bool const soon = begin - w.rests_until.load(std::memory_order_relaxed) < w.rested;
    w.factor *= soon ? 2 : 0.5;
    w.factor = w.factor < factor_least  ? factor_least
               : w.factor > factor_most ? factor_most
                                        : w.factor;
    w.rested = static_cast<int64_t>(w.factor * static_cast<double>(taken));
    w.rests_until.store(time + w.rested, std::memory_order_relaxed);
    if (time + w.rested > pool.last_rest.load(std::memory_order_relaxed))
        pool.last_rest.store(time + w.rested, std::memory_order_relaxed);
    pool.stalls.fetch_add(1, std::memory_order_relaxed);
}

// Until the bell, or for `seconds` (0: for ever).
void wait(Worker& w, int seconds) noexcept {
    pthread_mutex_lock(&w.mutex);
    if (seconds == 0) {
        while (w.sleeps.load(std::memory_order_relaxed)) pthread_cond_wait(&w.bell, &w.mutex);
    } else {
        int64_t const until = now_ns() + int64_t{seconds} * 1'000'000'000;
        for (int64_t left;
             w.sleeps.load(std::memory_order_relaxed) && (left = until - now_ns()) > 0;) {
#if defined(__APPLE__)
            timespec const t = {left / 1'000'000'000, left % 1'000'000'000};
            pthread_cond_timedwait_relative_np(&w.bell, &w.mutex, &t);
#else
            timespec const t = {until / 1'000'000'000, until % 1'000'000'000};
            pthread_cond_timedwait(&w.bell, &w.mutex, &t);
#endif
        }
    }
    pthread_mutex_unlock(&w.mutex);
}

void sleep(int number, uint32_t seen) noexcept {
    Worker& w = workers[number - 1];
    for (;;) {
        int seconds = 0;
        if (number == 1) {
            seconds = give_back_idle_blocks();
            if (!seconds) {
                unwatched.store(true, std::memory_order_seq_cst);
                seconds = give_back_idle_blocks();  // what came before that
            }
        }
        w.placement.come();  // its waker may have found it awake already
        w.sleeps.store(true, std::memory_order_seq_cst);
        pool.awake.fetch_sub(1, std::memory_order_seq_cst);
        // A share of a job announced before this is seen here; the caller of a later one sees that
        // we sleep, if it saw before that somebody does.
        static_cast<void>(pool.job.load(std::memory_order_seq_cst));
        bool const quiet = job_of(orders[number].share.load(std::memory_order_acquire)) == seen &&
                           !pool.stop.load(std::memory_order_seq_cst);
        if (quiet) wait(w, seconds);
        pool.awake.fetch_add(1, std::memory_order_seq_cst);
        bool const early = w.sleeps.exchange(false) && quiet;  // it was time to look at memory
        if (early) continue;
        w.placement.come();
        return;
    }
}

// Blocks are kept from now on.
void watch_blocks() noexcept {
    if (unwatched.load(std::memory_order_seq_cst) && unwatched.exchange(false)) ring(workers[0]);
}

// ---- work

struct Task {
    ChunkFn chunk;
    void* context;
    ptrdiff_t number;
};

// Takes a chunk of a thread's share of `job`, if any is left: from where the thread is going
// through it, or, of somebody else's share, from the other end.
bool take(uint32_t job, int number, bool own, Task& task) noexcept {
    Order& order = orders[number];
    uint64_t left = order.share.load(std::memory_order_acquire);
    while (job_of(left) == job && first_of(left) < end_of(left)) {
        bool const first = own != order.backwards.load(std::memory_order_relaxed);
        task = {order.chunk.load(std::memory_order_relaxed),
                order.context.load(std::memory_order_relaxed),
                first ? first_of(left) : end_of(left) - 1};
        // Success: the job goes on, so what was read before is this job's.
        if (order.share.compare_exchange_weak(left, left + (first ? without_first : without_last),
                                              std::memory_order_acq_rel, std::memory_order_acquire))
            return true;
    }
    return false;
}

// Waits for the thread to which a chunk of `job` is left, if it is at work, to take it, and no
// longer than `most`. What lies in that thread's caches is there sooner than it comes here.
void leave_chunk(uint32_t job, const Order& order, int64_t most) noexcept {
    if (order.begun.load(std::memory_order_relaxed) != job) return;
    int64_t until = 0;
    for (int i = 0;; ++i) {
        uint64_t const left = order.share.load(std::memory_order_acquire);
        if (job_of(left) != job || first_of(left) >= end_of(left)) return;
        if (i % 8 == 0) {
            int64_t const time = now_ns();
            if (i == 0) until = time + most;
            if (time >= until) return;
        }
        spin_pause();
    }
}

// Does `task`, if there is one, and takes chunks of `job` until there are none, of the own share
// and then of others'. How many it did.
ptrdiff_t take_chunks(uint32_t job, int number, Worker* worker, Task task, int64_t time) noexcept {
    Order& own = orders[number];
    int const members = own.members.load(std::memory_order_relaxed);
    double const expected = own.expected.load(std::memory_order_relaxed);
    ptrdiff_t taken = 0;
    int64_t const first = time;
    auto const run = [&] {
        int64_t const begin = time;
        task.chunk(task.context, task.number);
        ++taken;
        if (worker) own.done.store(done_of(fp_status(), taken), std::memory_order_release);
        time = now_ns();
        if (worker)
            judge(*worker, expected, begin, time);
        else
            pool.typical.store(static_cast<double>(time - first) / static_cast<double>(taken),
                               std::memory_order_relaxed);
    };
    if (task.chunk) run();
    while (take(job, number, true, task)) {
        if (taken == 0) own.begun.store(job, std::memory_order_relaxed);
        run();
    }
    int64_t patience = taken ? (time - first) / taken : 0;
    if (patience > patience_ns) patience = patience_ns;
    for (int past = 1; past <= members; ++past) {
        int const other = (number + past) % (members + 1);
        leave_chunk(job, orders[other], patience);
        while (take(job, other, false, task)) {
            time = now_ns();
            run();
        }
    }
    if (worker && taken) clear_fp_status();
    return taken;
}

void* work(void* argument) noexcept {
    Worker& w = *static_cast<Worker*>(argument);
    int const number = static_cast<int>(&w - workers) + 1;
    Order const& order = orders[number];
    uint32_t seen = job_of(order.share.load(std::memory_order_acquire)) - 1;  // may join at once
    reset_fp_control();
#if defined(__linux__)
    w.id = syscall(SYS_gettid);
#endif
    w.placement.start();
    while (!pool.stop.load(std::memory_order_acquire)) {
        int64_t time = now_ns();
        int64_t until = time + spin_ns;
        uint32_t job = seen;
        for (int i = 1; !pool.stop.load(std::memory_order_relaxed); ++i) {
            job = job_of(order.share.load(std::memory_order_acquire));
            if (job != seen) {
                time = now_ns();
                if (!rests(w, time)) break;
                seen = job;
            }
            spin_pause();
            if (i % 32 == 0 && now_ns() >= until) {
                sleep(number, seen);
                until = now_ns() + spin_ns;
            }
        }
        if (order.wake.load(std::memory_order_relaxed))
            wake_next(number, order.members.load(std::memory_order_relaxed), time);
        take_chunks(job, number, &w, Task{}, time);
        seen = job;
    }
    pool.awake.fetch_sub(1, std::memory_order_seq_cst);
    return nullptr;
}

// ---- threads

bool start_thread(Worker& w) noexcept {
    if (int64_t const left = threads_left.load(std::memory_order_relaxed)) {
        if (left == 1) return false;
        threads_left.store(left - 1, std::memory_order_relaxed);
    }
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes)) return false;
    pthread_attr_setstacksize(&attributes, stack_bytes);
    // Signals are the program's own threads' business; a new thread inherits the mask.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    w.sleeps.store(false, std::memory_order_relaxed);
    w.rests_until.store(0, std::memory_order_relaxed);
    w.rested = 0;
    w.factor = factor_least;
    pool.awake.fetch_add(1, std::memory_order_seq_cst);
    bool const started = pthread_create(&w.thread, &attributes, work, &w) == 0;
    if (!started) pool.awake.fetch_sub(1, std::memory_order_seq_cst);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
#if defined(__linux__)
    if (started) pthread_setname_np(w.thread, "raptors");
#endif
    return started;
}

// Ends all workers. Locked.
void stop_workers() noexcept {
    int const count = pool.workers.load(std::memory_order_relaxed);
    pool.stop.store(true, std::memory_order_seq_cst);
    for (int i = 0; i < count; ++i) ring(workers[i]);
    for (int i = 0; i < count; ++i) {
        pthread_join(workers[i].thread, nullptr);
        pthread_cond_destroy(&workers[i].bell);
    }
    pool.workers.store(0, std::memory_order_relaxed);
    pool.stop.store(false, std::memory_order_relaxed);
    unwatched.store(false, std::memory_order_relaxed);
#if defined(__linux__)
    // A joined thread may be counted a moment longer, and Python warns of a fork with threads.
    if (count) {
        for (int tries = 0; tries < 1000; ++tries) {
            bool gone = true;
            for (int i = 0; i < count; ++i)
                gone &= workers[i].id <= 0 || syscall(SYS_tgkill, getpid(), workers[i].id, 0) != 0;
            if (gone) break;
            sched_yield();
        }
    }
#endif
}

void before_fork() noexcept {
    pthread_mutex_lock(&pool.mutex);
    stop_workers();
}
void after_fork_parent() noexcept { pthread_mutex_unlock(&pool.mutex); }
void after_fork_child() noexcept { pthread_mutex_unlock(&pool.mutex); }

// At least `wanted` workers, if the system gives them. Locked.
void start_workers(int wanted) noexcept {
    int count = pool.workers.load(std::memory_order_relaxed);
    if (count >= wanted) return;
    if (!pool.ready) {
        pool.ready = true;
        watch_kept_blocks(watch_blocks);  // after its handlers of forks, so that ours run first
        pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    }
    if (pool.refused && now_ns() - pool.refused < retry_ns) return;
    for (; count < wanted; ++count) {
        Worker& w = workers[count];
        pthread_condattr_t attributes;
        if (pthread_condattr_init(&attributes)) break;
#if !defined(__APPLE__)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
        bool const belled = pthread_cond_init(&w.bell, &attributes) == 0;
        pthread_condattr_destroy(&attributes);
        if (!belled) break;
        if (!start_thread(w)) {
            pthread_cond_destroy(&w.bell);
            break;
        }
    }
    pool.refused = count < wanted ? now_ns() : 0;
    pool.workers.store(count, std::memory_order_relaxed);
}

void run_alone(ptrdiff_t chunks, ChunkFn chunk, void* context, bool backwards) noexcept {
    for (ptrdiff_t i = 0; i < chunks; ++i) chunk(context, backwards ? chunks - 1 - i : i);
}

RAPTORS_TLS bool last_went_backwards;

// Waits until the workers have done `count` chunks. The floating-point status that they raised.
int wait_for_chunks(int members, ptrdiff_t count) noexcept {
    for (int i = 1;; ++i) {
        ptrdiff_t left = count;
        int status = 0;
        for (int number = 1; number <= members && left; ++number) {
            uint32_t const done = orders[number].done.load(std::memory_order_acquire);
            left -= count_of(done);
            status |= status_of(done);
        }
        if (!left) return status;
        spin_pause();
        if (i > 4096 && i % 64 == 0) sched_yield();
    }
}

// Locked.
void count_more(std::atomic<uint64_t>& counter, ptrdiff_t n) noexcept {
    counter.store(counter.load(std::memory_order_relaxed) + static_cast<uint64_t>(n),
                  std::memory_order_relaxed);
}

// Whether all workers that there are rest.
bool all_rest(int64_t time) noexcept {
    if (time >= pool.last_rest.load(std::memory_order_relaxed)) return false;
    int const count = pool.workers.load(std::memory_order_relaxed);
    for (int i = 0; i < count; ++i)
        if (!rests(workers[i], time)) return false;
    return count > 0;
}

}  // namespace

Team team_for(double ns, int threads) noexcept {
    if (threads < 2) return alone;
    double const hot = hot_limit.load(std::memory_order_relaxed);
    double const parked = parked_limit.load(std::memory_order_relaxed);
    if (parked <= 0) return {threads, true};
    if (ns < hot) return alone;
    int64_t const time = now_ns();
    if (all_rest(time)) return alone;
    // The last threads would have a share too small to come for.
    double const shares = 2 * ns / hot;
    if (shares < threads) threads = static_cast<int>(shares);
    bool const close = time - pool.last_end.load(std::memory_order_relaxed) < close_ns;
    double const before = close ? pool.close.load(std::memory_order_relaxed) : 0;
    double const run = before + ns;
    pool.since.store(time - static_cast<int64_t>(before), std::memory_order_relaxed);
    pool.close.store(run, std::memory_order_relaxed);
    if (run >= parked) return {threads, true, ns};
    return pool.awake.load(std::memory_order_relaxed) ? Team{threads, false, ns} : alone;
}

void end_call() noexcept {
    int64_t const time = now_ns();
    pool.last_end.store(time, std::memory_order_relaxed);
    // From memory it takes longer than estimated, by several threads less.
    if (int64_t const since = pool.since.exchange(0, std::memory_order_relaxed)) {
        auto const run = static_cast<double>(time - since);
        if (run > pool.close.load(std::memory_order_relaxed))
            pool.close.store(run, std::memory_order_relaxed);
    }
}

void run_chunks(ptrdiff_t chunks, ChunkFn chunk, void* context, Team team) noexcept {
    // From either end in turn: what the call before has left in the caches comes first.
    bool const backwards = team.ns > 0 && !team.forwards && !last_went_backwards;
    if (team.ns > 0) last_went_backwards = backwards;
    if (chunks < 2 || team.threads < 2) return run_alone(chunks, chunk, context, backwards);
    if (pthread_mutex_trylock(&pool.mutex)) {
        pool.lonely.fetch_add(1, std::memory_order_relaxed);
        return run_alone(chunks, chunk, context, backwards);
    }
    int members = (team.threads < chunks ? team.threads : static_cast<int>(chunks)) - 1;
    if (team.wake) start_workers(members);
    int const count = pool.workers.load(std::memory_order_relaxed);
    if (members > count) members = count;
    if (members < 1) {
        pthread_mutex_unlock(&pool.mutex);
        return run_alone(chunks, chunk, context, backwards);
    }
    // Nobody takes chunks now: the fields are free. Calls on the same arrays give a thread the same
    // chunks, which its caches may still hold. The calling thread comes last and has its first
    // chunk already: workers wait for their lines, and it goes on while those are on their way.
    uint32_t const job = pool.job.load(std::memory_order_relaxed) + 1;
    pool.typical.store(0, std::memory_order_relaxed);
    Task begun{};
    for (int number = members; number >= 0; --number) {
        Order& order = orders[number];
        order.chunk.store(chunk, std::memory_order_relaxed);
        order.context.store(context, std::memory_order_relaxed);
        order.members.store(members, std::memory_order_relaxed);
        order.wake.store(team.wake, std::memory_order_relaxed);
        order.backwards.store(backwards, std::memory_order_relaxed);
        order.expected.store(team.ns / static_cast<double>(chunks), std::memory_order_relaxed);
        order.done.store(0, std::memory_order_relaxed);
        ptrdiff_t first = chunks * number / (members + 1);
        ptrdiff_t end = chunks * (number + 1) / (members + 1);
        if (number == 0) {
            begun = {chunk, context, backwards ? --end : first++};
            order.begun.store(job, std::memory_order_relaxed);
        }
        order.share.store(share_of(job, first, end), std::memory_order_release);
    }
    int64_t const time = now_ns();
    // A worker that goes to sleep at this moment misses the job, and the next one wakes it.
    if (team.wake && pool.awake.load(std::memory_order_relaxed) < count) {
        pool.job.store(job, std::memory_order_seq_cst);
        wake_next(0, members, time);
    } else {
        pool.job.store(job, std::memory_order_relaxed);
    }
    ptrdiff_t const helped = chunks - take_chunks(job, 0, nullptr, begun, time);
    int const status = wait_for_chunks(members, helped);
    count_more(pool.shared, 1);
    count_more(pool.chunks, chunks);
    count_more(pool.helped, helped);
    pthread_mutex_unlock(&pool.mutex);
    if (status) raise_fp_status(status);
}

void set_pool_limits(PoolLimits limits) noexcept {
    hot_limit.store(limits.hot_ns, std::memory_order_relaxed);
    parked_limit.store(limits.parked_ns, std::memory_order_relaxed);
}
PoolLimits pool_limits() noexcept {
    return {hot_limit.load(std::memory_order_relaxed),
            parked_limit.load(std::memory_order_relaxed)};
}

void stop_pool() noexcept {
    pthread_mutex_lock(&pool.mutex);
    stop_workers();
    pool.refused = 0;
    pthread_mutex_unlock(&pool.mutex);
}

PoolStats pool_stats() noexcept {
    auto get = [](auto& value) { return value.load(std::memory_order_relaxed); };
    return {get(pool.workers), get(pool.shared), get(pool.lonely),
            get(pool.chunks),  get(pool.helped), get(pool.stalls)};
}

void fail_thread(int64_t n) noexcept { threads_left.store(n, std::memory_order_relaxed); }

}  // namespace raptors
