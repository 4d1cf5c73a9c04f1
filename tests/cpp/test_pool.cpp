// The thread pool: every chunk once, many callers, forks, floating-point status, refused threads;
// and how many processors there are. RAPTORS_POOL_JOBS sets how many jobs the random runs do.
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "frame/fp/fpstatus.h"
#include "frame/memory/caching_allocator.h"
#include "frame/threads/costs.h"
#include "frame/threads/pool.h"
#include "frame/threads/processors.h"
#include "frame/threads/wake_affinity.h"

using namespace raptors;

namespace {

int jobs() {
    const char* const env = std::getenv("RAPTORS_POOL_JOBS");
    return env ? std::atoi(env) : 20000;
}

// Some time that the compiler cannot skip.
void spin(unsigned long n) {
    for (std::atomic<unsigned long> i{0}; i.load(std::memory_order_relaxed) < n;)
        i.fetch_add(1, std::memory_order_relaxed);
}

void check_chunks() {
    std::mt19937 random(7);
    std::vector<std::atomic<int>> hits(most_chunks);
    for (int job = 0; job < jobs() / 4; ++job) {
        auto const chunks =
            static_cast<ptrdiff_t>(job % 50 ? random() % 40 : random() % (most_chunks + 1));
        Team const team{1 + static_cast<int>(random() % 6), random() % 4 != 0};
        unsigned long const work = random() % 3 ? 0 : random() % 300;
        for (auto& h : hits) h.store(0, std::memory_order_relaxed);
        std::vector<int> plain(static_cast<size_t>(chunks));
        for_chunks(chunks, team, [&](ptrdiff_t i) {
            hits[static_cast<size_t>(i)].fetch_add(1, std::memory_order_relaxed);
            plain[static_cast<size_t>(i)] = job + 1;
            spin(work);
        });
        bool right = true;
        for (ptrdiff_t i = 0; i < most_chunks; ++i)
            right &= hits[static_cast<size_t>(i)].load(std::memory_order_relaxed) == (i < chunks);
        for (int const x : plain) right &= x == job + 1;
        CHECK(right);
    }
    CHECK(pool_stats().workers >= 1 && pool_stats().workers <= 5);
    for (int i = 0; i < 1000 && pool_stats().helped == 0; ++i)  // other processes may be in the way
        for_chunks(64, Team{3, true}, [&](ptrdiff_t) { spin(2000); });
    CHECK(pool_stats().helped > 0);
}

// One thread goes through long calls from either end in turn, but for those that go forwards.
void check_order() {
    for (bool const forwards : {false, true}) {
        ptrdiff_t first[4];
        for (ptrdiff_t& f : first) {
            std::vector<ptrdiff_t> order;
            for_chunks(5, Team{1, false, 1e6, forwards}, [&](ptrdiff_t i) { order.push_back(i); });
            f = order.front();
            for (ptrdiff_t i = 0; i < 5; ++i)
                CHECK(order[static_cast<size_t>(i)] == (f ? 4 - i : i));
        }
        CHECK(first[0] == (forwards ? 0 : first[2]) && first[1] == (forwards ? 0 : first[3]));
        CHECK(first[0] + first[1] == (forwards ? 0 : 4));
    }
}

// Each thread does its own half, from either end, call by call; of who is held up others do the
// rest.
void check_shares() {
    auto const caller = pthread_self();
    constexpr ptrdiff_t chunks = 16;
    int kept = 0;
    for (int job = 0; job < 2000 && kept == 0; ++job) {  // other processes may be in the way
        std::atomic<int> strayed{0}, helped{0};
        for_chunks(chunks, Team{2, true, 1e6}, [&](ptrdiff_t i) {
            bool const worker = !pthread_equal(caller, pthread_self());
            helped += worker;
            strayed += worker != (i >= chunks / 2);
            spin(2000);
        });
        kept += strayed == 0 && helped == chunks / 2;
    }
    CHECK(kept > 0);
    for (bool const hold_worker : {false, true}) {
        // A worker that is falling asleep may miss a job, which its caller then does alone: those
        // that nobody comes to end late, and do not count.
        int held = 0;
        for (int job = 0, missed = 0; job < 2000 && held < 4 && missed < 20; ++job) {
            std::atomic<ptrdiff_t> done{0};
            std::atomic<bool> holds{false};
            std::atomic<bool> late{false};
            for_chunks(chunks, Team{2, true, 1e6}, [&](ptrdiff_t) {
                bool const worker = !pthread_equal(caller, pthread_self());
                if (worker == hold_worker && !holds.exchange(true))
                    for (int i = 0; done != chunks - 1 && !late; ++i, usleep(100))
                        if (i == 10'000) late = true;
                spin(2000);
                ++done;
            });
            CHECK(done == chunks);
            held += holds && !late;
            missed += late;
        }
        CHECK(held == 4);
    }
}

// Callers share the pool: one has it, the others work alone; chunks that make calls themselves,
// too.
void check_callers() {
    std::vector<std::thread> callers;
    std::atomic<long> wrong{0};
    for (unsigned c = 0; c < 8; ++c)
        callers.emplace_back([&wrong, c] {
            std::mt19937 random(c);
            for (int job = 0; job < jobs() / 8; ++job) {
                auto const chunks = static_cast<ptrdiff_t>(random() % 20);
                std::vector<long> sums(static_cast<size_t>(chunks));
                for_chunks(chunks, Team{4, true}, [&](ptrdiff_t i) {
                    std::atomic<long> inside{0};
                    for_chunks(4, Team{4, true}, [&](ptrdiff_t k) {
                        inside.fetch_add(i + k, std::memory_order_relaxed);
                    });
                    sums[static_cast<size_t>(i)] = inside.load(std::memory_order_relaxed);
                });
                for (ptrdiff_t i = 0; i < chunks; ++i)
                    wrong += sums[static_cast<size_t>(i)] != 4 * i + 6;
            }
        });
    for (auto& c : callers) c.join();
    CHECK(wrong == 0);
}

// What a worker raises reaches the caller; how the caller rounds does not reach a worker.
void check_floating_point() {
    volatile double zero = 0, one = 1, big = 1e308;
    for (int status = 0; status < 16; ++status) {
        for (int repeat = 0; repeat < 20; ++repeat) {
            clear_fp_status();
            for_chunks(8, Team{3, true}, [&](ptrdiff_t i) {
                volatile double x = 0;
                if (i == 2 && status & fp_divide_by_zero) x = x + one / zero;
                if (i == 3 && status & fp_overflow) x = x + big * big;
                if (i == 5 && status & fp_underflow) x = x + 1 / big / big;
                if (i == 6 && status & fp_invalid) x = x + zero / zero;
                spin(200);
            });
            CHECK(fp_status() == status);
        }
    }
    clear_fp_status();
#if defined(__x86_64__)
    unsigned const before = _mm_getcsr();
    _mm_setcsr(before | 0x8040U);  // denormals are zeros, in and out
    auto const caller = pthread_self();
    std::atomic<int> wrong{0}, seen{0};
    for (int repeat = 0; repeat < 200 && !seen; ++repeat)
        for_chunks(16, Team{3, true}, [&](ptrdiff_t) {
            spin(500);
            if (pthread_equal(caller, pthread_self())) return;
            ++seen;
            if (_mm_getcsr() & 0xe040U) ++wrong;
        });
    _mm_setcsr(before);
    CHECK(wrong == 0);
#endif
}

void check_signals() {
    sigset_t mine, all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, nullptr, &mine);
    auto const caller = pthread_self();
    std::atomic<int> wrong{0};
    for_chunks(64, Team{4, true}, [&](ptrdiff_t) {
        sigset_t mask;
        pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        bool const blocked = sigismember(&mask, SIGINT) && sigismember(&mask, SIGCHLD) &&
                             sigismember(&mask, SIGUSR1) && sigismember(&mask, SIGTERM);
        if (!pthread_equal(caller, pthread_self()) && !blocked) ++wrong;
        spin(300);
    });
    CHECK(wrong == 0);
    sigset_t after;
    pthread_sigmask(SIG_SETMASK, nullptr, &after);
    CHECK(sigismember(&mine, SIGINT) == sigismember(&after, SIGINT));
}

long total(int threads) {
    std::atomic<long> sum{0};
    for_chunks(100, Team{threads, true},
               [&](ptrdiff_t i) { sum.fetch_add(i, std::memory_order_relaxed); });
    return sum;
}

bool child_is_right(int depth) {
    pid_t const child = fork();
    if (child == 0) {
        alarm(20);  // a hang ends the child
        bool right = pool_stats().workers == 0 && total(3) == 4950;
        if (right && depth > 0) right = child_is_right(depth - 1);
        _exit(right ? 0 : 1);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child) return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void check_forks() {
    for (int i = 0; i < 20; ++i) {
        CHECK(total(4) == 4950);
        CHECK(child_is_right(1));
    }
    if (emulated) return;  // QEMU's user mode does not survive the rest
    // From several threads while others work.
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
        threads.emplace_back([&] {
            while (!stop) {
                wrong += total(3) != 4950;
                char* const block = block_new(100'000);
                block_delete(block);
            }
        });
    for (int i = 0; i < 2; ++i)
        threads.emplace_back([&] {
            for (int k = 0; k < 15; ++k) wrong += !child_is_right(0);
        });
    threads[3].join();
    threads[4].join();
    stop = true;
    for (int i = 0; i < 3; ++i) threads[static_cast<size_t>(i)].join();
    CHECK(wrong == 0);
}

void check_stop() {
    total(4);
    CHECK(pool_stats().workers >= 3);
    stop_pool();
    CHECK(pool_stats().workers == 0);
    fail_thread(2);  // one worker comes, no more
    stop_pool();
    CHECK(total(4) == 4950 && pool_stats().workers == 1);
    CHECK(total(4) == 4950 && pool_stats().workers == 1);
    stop_pool();
    fail_thread(1);
    CHECK(total(4) == 4950 && pool_stats().workers == 0);
    fail_thread(0);
    CHECK(total(4) == 4950 && pool_stats().workers == 0);  // a refusal is believed for a second
    usleep(1'100'000);
    CHECK(total(4) == 4950 && pool_stats().workers == 3);
}

// Who comes: nobody to short calls, everybody to long ones, those awake to calls between.
void check_crews() {
    stop_pool();
    PoolLimits const limits = pool_limits();
    CHECK(limits.hot_ns > 0 && limits.parked_ns > limits.hot_ns);
    CHECK(team_for(limits.parked_ns * 2, 1).threads == 1);
    CHECK(team_for(limits.hot_ns / 2, 8).threads == 1);
    CHECK(team_for(limits.hot_ns * 2, 8).threads == 1);  // there are no workers
    CHECK(team_for(limits.parked_ns * 2, 8).threads == 8 && team_for(limits.parked_ns, 8).wake);
    // A run of calls that follow closely is a long call, however long they really take.
    bool woken = false;
    for (int i = 0; i < 1000 && !woken; ++i) {
        woken = team_for(limits.parked_ns / 3, 8).wake;
        usleep(500);  // the call, slower than its estimate
        end_call();
    }
    CHECK(woken);
    for (int i = 0; i < 20; ++i) {
        usleep(500);  // a gap
        CHECK(!team_for(limits.parked_ns / 3, 8).wake);
        end_call();
    }
    // By the time that they took: by their estimates alone so few would not be one.
    woken = false;
    for (int i = 0; i < 10 && !woken; ++i) {
        woken = team_for(1.2 * limits.hot_ns, 8).wake;
        usleep(500);
        end_call();
    }
    CHECK(10 * 1.2 * limits.hot_ns < limits.parked_ns && woken);
    set_pool_limits({0, 0});
    CHECK(team_for(1, 8).threads == 8 && team_for(1, 8).wake);
    set_pool_limits(limits);
    WorkSplit const split = split_for(1'000'000, 1e6, 4);
    CHECK(split.team.threads == 4 && split.grain >= 1'000'000 / most_chunks);
    CHECK(split_for(1'000'000, 1, 4).team.threads == 1);
    CHECK(split_for(PTRDIFF_MAX, 1e18, 4).grain >= PTRDIFF_MAX / most_chunks);
}

// A worker whose chunk took far too long rests, for longer each time; then it works again.
void check_rests() {
    stop_pool();
    auto const caller = pthread_self();
    std::atomic<bool> late{true};
    std::atomic<int> helped{0};
    auto work = [&](ptrdiff_t) {
        bool const is_worker = !pthread_equal(caller, pthread_self());
        helped += is_worker;
        usleep(is_worker && late ? 20'000 : 200);
    };
    uint64_t const before = pool_stats().stalls;
    for (int i = 0; i < 50 && pool_stats().stalls == before; ++i)
        for_chunks(16, Team{2, true, 16 * 500'000.0}, work);
    CHECK(pool_stats().stalls == before + 1);
    CHECK(team_for(1e9, 2).threads == 1);
    late = false;
    helped = 0;
    for_chunks(16, Team{2, true, 16 * 500'000.0}, work);
    CHECK(helped == 0);
    usleep(300'000);  // 10 stalls
    CHECK(team_for(1e9, 2).threads == 2);
    for (int i = 0; i < 50 && helped == 0; ++i) for_chunks(16, Team{2, true, 16 * 500'000.0}, work);
    CHECK(helped > 0);
    stop_pool();
}

// Memory that nobody wants is given back by a worker. (Ten seconds; with RAPTORS_POOL_JOBS only.)
void check_idle_memory() {
    if (!std::getenv("RAPTORS_POOL_JOBS")) return;
    set_block_cache_limit(size_t{256} << 20);
    total(2);
    block_delete(block_new(size_t{64} << 20));
    CHECK(block_stats().cached_bytes >= size_t{64} << 20);
    for (int i = 0; i < 160 && block_stats().mapped_bytes; ++i) usleep(100'000);
    CHECK(block_stats().mapped_bytes == 0);
}

[[maybe_unused]] void write(const std::string& path, const char* text) {
    for (size_t i = 1; i < path.size(); ++i)
        if (path[i] == '/') mkdir(path.substr(0, i).c_str(), 0700);
    std::ofstream(path) << text;
}

void check_processors() {
#if defined(__linux__)
    int const all = usable_processors("/nonexistent");
    CHECK(all >= 1);
    char folder[] = "/tmp/raptors-cgroup-XXXXXX";
    if (!mkdtemp(folder)) return;
    std::string const root = folder;
    std::string const own = root + "/proc/self/cgroup";
    std::string const v2 = root + "/sys/fs/cgroup";
    write(own, "0::/a/b\n");
    write(v2 + "/a/b/cpu.max", "max 100000\n");
    CHECK(usable_processors(folder) == all);
    write(v2 + "/a/b/cpu.max", "150000 100000\n");
    CHECK(usable_processors(folder) == (all < 2 ? all : 2));
    write(v2 + "/a/cpu.max", "50000 100000\n");  // the group around it allows less
    CHECK(usable_processors(folder) == 1);
    write(v2 + "/a/cpu.max", "nonsense\n");
    write(v2 + "/a/b/cpu.max", "-5 0\n");
    CHECK(usable_processors(folder) == all);
    write(own, "3:cpu,cpuacct:/c\n1:name=systemd:/x\n0::/\n");
    write(v2 + "/cpu,cpuacct/c/cpu.cfs_quota_us", "-1\n");
    write(v2 + "/cpu,cpuacct/c/cpu.cfs_period_us", "100000\n");
    CHECK(usable_processors(folder) == all);
    write(v2 + "/cpu,cpuacct/c/cpu.cfs_quota_us", "100000\n");
    CHECK(usable_processors(folder) == 1);
    write(own, "garbage\n::\n");
    CHECK(usable_processors(folder) == all);
    std::string const remove = "rm -r '" + root + "'";
    CHECK(std::system(remove.c_str()) == 0);
#endif
}

// A thread that is woken by one on processor `here`: it may run anywhere else until it has come.
void check_placement() {
#if defined(__linux__)
    cpu_set_t all;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    int here = 0;
    while (!CPU_ISSET(here, &all)) ++here;
    cpu_set_t alone;
    CPU_ZERO(&alone);
    CPU_SET(here, &alone);
    for (bool const elsewhere : {true, false}) {
        cpu_set_t const& before = elsewhere ? all : alone;
        Placement placement;
        std::atomic<pid_t> id{0};
        std::atomic<int> step{0};
        auto const reach = [&](int n) {
            while (step.load() < n) std::this_thread::yield();
        };
        auto const mask = [&] {
            cpu_set_t now;
            CHECK(sched_getaffinity(id, sizeof now, &now) == 0);
            return now;
        };
        std::thread thread([&] {
            CHECK(sched_setaffinity(0, sizeof before, &before) == 0);
            placement.start();
            id = gettid();
            step = 1;
            reach(2);
            placement.come();
            step = 3;
            reach(4);
        });
        reach(1);
        CHECK(sched_setaffinity(0, sizeof alone, &alone) == 0);
        placement.make_way(id);
        cpu_set_t expected = before;
        if (CPU_COUNT(&before) > 1) CPU_CLR(here, &expected);
        cpu_set_t now = mask();
        CHECK(CPU_EQUAL(&now, &expected));
        placement.make_way(id);  // a second waker changes nothing
        now = mask();
        CHECK(CPU_EQUAL(&now, &expected));
        CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
        step = 2;
        reach(3);
        now = mask();
        CHECK(CPU_EQUAL(&now, &before));
        step = 4;
        thread.join();
    }
#endif
}

// Workers that have been woken may run wherever they could before.
void check_workers_run_anywhere() {
#if defined(__linux__)
    stop_pool();
    cpu_set_t all;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
    std::atomic<int> wrong{0};
    for (int i = 0; i < 300; ++i) {
        if (i % 3 == 0) usleep(200);  // they sleep
        for_chunks(3, {3, true}, [&](ptrdiff_t) {
            cpu_set_t now;
            if (sched_getaffinity(0, sizeof now, &now) || !CPU_EQUAL(&now, &all))
                wrong.fetch_add(1);
            spin(2000);
        });
    }
    // Rare: a waker that found its worker awake already narrows it until it sleeps again.
    CHECK(wrong <= 30);
#endif
}

}  // namespace

int main() {
    check_chunks();
    check_order();
    check_shares();
    check_callers();
    check_floating_point();
    check_signals();
    check_stop();
    check_crews();
    check_rests();
#if !defined(__SANITIZE_THREAD__)  // it does not follow forks of programs with threads
    check_forks();
#endif
    check_idle_memory();
    check_processors();
    check_placement();
    check_workers_run_anywhere();
    stop_pool();
    return checks.report("pool");
}
