// Scratch arenas and the block cache.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "check.h"
#include "frame/memory/caching_allocator.h"
#include "frame/memory/faults.h"
#include "frame/memory/scratch.h"

using namespace raptors;

namespace {

bool aligned(const char* p) { return p && reinterpret_cast<uintptr_t>(p) % 64 == 0; }
bool all_zero(const char* p, size_t n) {
    for (size_t i = 0; i < n; ++i)
        if (p[i]) return false;
    return true;
}

const size_t sizes[] = {
    0,     1,     63,     64,      511,           512,     513,           4096,   32767,
    32768, 32769, 100000, 1 << 20, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, 9 << 20};

void check_blocks() {
    for (size_t n : sizes) {
        char* const a = block_new(n);
        CHECK(aligned(a) && block_capacity(a) >= n);
        CHECK(n > small_block ? block_capacity(a) <= n + n / 4
                              : block_capacity(a) == (n ? (n + 63) / 64 * 64 : 64));
        memset(a, 0xff, block_capacity(a));
        block_delete(a);
        char* const z = block_new_zeroed(n);  // maybe the dirty one again
        CHECK(aligned(z) && all_zero(z, n));
        memset(z, 0xff, block_capacity(z));
        block_delete(z);
    }
    block_delete(nullptr);
    for (size_t huge : {SIZE_MAX, SIZE_MAX - 63, SIZE_MAX / 2, size_t{1} << 62, size_t{1} << 48}) {
        CHECK(block_new(huge) == nullptr);
        CHECK(block_new_zeroed(huge) == nullptr);
    }
    char* const kept = block_new(1000);
    memset(kept, 7, 1000);
    CHECK(block_resize(kept, SIZE_MAX) == nullptr);
    CHECK(kept[999] == 7);
    block_delete(kept);
}

// 100,000 blocks that were dirty before.
void check_zeros() {
    std::mt19937 random(11);
    long wrong = 0;
    for (int i = 0; i < 100'000; ++i) {
        size_t const n = i % 1000 ? random() % 3000 : random() % (3 << 20);
        char* const dirty = block_new(n);
        memset(dirty, 0xff, n);
        block_delete(dirty);
        char* const z = block_new_zeroed(n);
        wrong += !all_zero(z, n);
        memset(z, 0xff, n);
        block_delete(z);
    }
    CHECK(wrong == 0);
}

void check_cache() {
    set_block_cache_limit(size_t{64} << 20);
    trim_blocks();
    CHECK(block_stats().cached_bytes == 0 && block_stats().cached_blocks == 0);
    for (size_t n : {size_t{40000}, size_t{50000}, size_t{1} << 20, size_t{5} << 20}) {
        char *const a = block_new(n), *const b = block_new(n);
        block_delete(a);
        block_delete(b);
        BlockStats const before = block_stats();
        CHECK(block_new(n) == b);  // last in, first out
        CHECK(block_new(n - n / 32) == a);
        BlockStats const after = block_stats();
        CHECK(after.hits == before.hits + 2 && after.misses == before.misses);
        CHECK(after.cached_blocks + 2 == before.cached_blocks);
        block_delete(a);
        block_delete(b);
    }
    // a much smaller request does not get a long block
    trim_blocks();
    block_delete(block_new(1 << 20));
    char* const small = block_new(600000);
    CHECK(block_capacity(small) <= 750000);
    block_delete(small);
    // the cap holds, the oldest go first
    trim_blocks();
    set_block_cache_limit(4 << 20);  // a sixteenth is the thread's own
    char* blocks[5];
    for (char*& b : blocks) b = block_new(1 << 20);
    for (char* b : blocks) block_delete(b);
    CHECK(block_stats().cached_blocks == 3 && block_stats().cached_bytes <= 4 << 20);
    CHECK(block_new(1 << 20) == blocks[4]);
    CHECK(block_new(1 << 20) == blocks[3]);
    CHECK(block_new(1 << 20) == blocks[2]);
    for (int i = 2; i < 5; ++i) block_delete(blocks[i]);
    set_block_cache_limit(2 << 20);
    CHECK(block_stats().cached_blocks == 1);
    CHECK(block_cache_limit() == 2 << 20);
    block_delete(block_new(8 << 20));  // longer than the cap
    CHECK(block_stats().cached_blocks == 1);
    set_block_cache_limit(0);
    block_delete(block_new(1 << 20));
    CHECK(block_stats().cached_blocks == 0 && block_stats().cached_bytes == 0);
    set_block_cache_limit(size_t{64} << 20);
}

// A lower limit holds although another thread keeps what the old one allowed, until it learns of
// it.
void check_limit_with_threads() {
    trim_blocks();
    set_block_cache_limit(size_t{64} << 20);
    std::atomic<int> step{0};
    auto const wait_for = [&](int wanted) {
        while (step != wanted) usleep(100);
    };
    std::thread other([&] {
        char* blocks[300];
        for (char*& b : blocks) b = block_new(2000);
        for (char* const b : blocks) block_delete(b);
        step = 1;
        wait_for(2);
        block_delete(block_new(2000));
        step = 3;
    });
    wait_for(1);
    CHECK(block_stats().cached_bytes >= 300 * 2000);
    size_t const limit = size_t{1} << 20;
    set_block_cache_limit(limit);
    char* blocks[20];
    for (char*& b : blocks) b = block_new(100'000);
    for (char* const b : blocks) block_delete(b);
    CHECK(block_stats().cached_blocks > 300 && block_stats().cached_bytes <= limit);
    step = 2;
    wait_for(3);
    CHECK(block_stats().cached_bytes <= limit);
    other.join();
    for (char*& b : blocks) b = block_new(100'000);
    for (char* const b : blocks) block_delete(b);
    CHECK(block_stats().cached_bytes > limit / 2 && block_stats().cached_bytes <= limit);
    set_block_cache_limit(size_t{64} << 20);
    trim_blocks();
}

// What threads keep for themselves: last in, first out, within a budget, given back at their end.
void check_threads_keep() {
    set_block_cache_limit(size_t{64} << 20);
    trim_blocks();
    uint64_t const live = block_stats().live_bytes;
    std::thread([&] {
        char *const a = block_new(5000), *const b = block_new(5000), *const c = block_new(100);
        CHECK(block_stats().live_bytes == live + 2 * block_capacity(a) + 128);
        block_delete(a);
        block_delete(b);
        block_delete(c);
        CHECK(block_stats().cached_blocks == 3 && block_stats().live_bytes == live);
        CHECK(block_new(4900) == b && block_new(5000) == a && block_new(65) == c);
        block_delete(a);
        block_delete(b);
        block_delete(c);
        block_delete(block_new(100000));
    }).join();
    CHECK(block_stats().cached_blocks == 1);  // the long one is everybody's now
    uint64_t const hits = block_stats().hits;
    block_delete(block_new(100000));
    CHECK(block_stats().hits == hits + 1);
    std::vector<char*> many(5000);
    for (char*& p : many) p = block_new(3000);
    for (char* p : many) {
        block_delete(p);
        CHECK(block_stats().cached_bytes <= (1 << 20) + 106496);
    }
    char* made = nullptr;  // here, freed there
    std::thread([&] { made = block_new(7000); }).join();
    block_delete(made);
    CHECK(block_stats().live_bytes == live);
    trim_blocks();
    CHECK(block_stats().cached_bytes == 0 && block_stats().cached_blocks == 0);
}

void check_failures() {
    uint64_t const live = block_stats().live_bytes;
    for (bool const sticky : {false, true}) {
        for (int n = 1; n <= 4; ++n) {
            fail_allocation(n, sticky);
            int failed = 0;
            for (int i = 1; i <= 6; ++i) {
                char* const p = i % 2 ? block_new(100) : block_new_zeroed(1 << 20);
                Scratch const s(10);
                failed += !p + !s.get();
                if (i * 2 < n) CHECK(failed == 0);
                block_delete(p);
            }
            CHECK(failed == (sticky ? 12 - n + 1 : 1));
        }
        fail_allocation(0, false);
    }
    CHECK(block_stats().live_bytes == live);
}

int faults;

// Before the first block: in a process of its own.
void check_debugging() {
    debug_blocks([](const char*) { ++faults; });
    char* const a = block_new(100);
    CHECK(a[0] == '\xA5' && a[99] == '\xA5');
    block_delete(a);
    CHECK(faults == 0 && a[0] == '\xDB' && a[99] == '\xDB');
    block_delete(a);
    CHECK(faults == 1);
    for (size_t n : {size_t{1}, size_t{64}, size_t{1000}, size_t{40000}, size_t{5} << 20}) {
        char* p = block_new_zeroed(n);
        CHECK(all_zero(p, n));
        p[n - 1] = 1;
        p = block_resize(p, n + n / 2 + 1);
        CHECK(p[n - 1] == 1);
        p[n + n / 2] = 1;
        int const before = faults;
        block_delete(p);
        CHECK(faults == before);
        p = block_new(n);
        p[n] = 7;
        block_delete(p);
        CHECK(faults == before + 1);
    }
}

void in_a_child(void (*check)()) {
    fflush(stdout);
    pid_t const child = fork();
    if (child == 0) {
        alarm(60);
        check();
        int const status = checks.report("a child of test_memory");
        fflush(stdout);
        _exit(status);
    }
    int status = 1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
}

// Random operations of many threads that hand blocks to each other, against what must hold: a block
// keeps what was written to it, zeroed ones are zero, the cache stays below its limit, nothing is
// lost. RAPTORS_ALLOCATOR_OPERATIONS sets how many.
void check_model() {
    const char* const given = getenv("RAPTORS_ALLOCATOR_OPERATIONS");
    long const operations = given ? atol(given) : 400000;
    constexpr int n_threads = 8, n_rounds = 4, n_slots = 256;
    size_t const limit = size_t{24} << 20;
    trim_blocks();
    set_block_cache_limit(limit);
    uint64_t const live = block_stats().live_bytes;
    std::atomic<char*> slots[n_slots] = {};
    std::atomic<long> wrong{0};
    auto length = [](const char* p) {
        size_t n;
        memcpy(&n, p, sizeof n);
        return n;
    };
    auto sign = [](char* p, size_t n) {
        memcpy(p, &n, sizeof n);
        p[n - 1] = static_cast<char>(n * 31 + 7);
    };
    auto holds = [&](char* p) {
        size_t const n = length(p);
        return aligned(p) && block_capacity(p) >= n && p[n - 1] == static_cast<char>(n * 31 + 7);
    };
    auto work = [&](unsigned seed) {
        std::mt19937 random(seed);
        for (long i = 0; i < operations / (n_threads * n_rounds); ++i) {
            std::atomic<char*>& slot = slots[random() % n_slots];
            size_t const n = 16 + random() % (size_t{1} << (random() % 21));
            char* mine = slot.exchange(nullptr);
            if (mine && !holds(mine)) ++wrong;
            if (mine && random() % 4 == 0) {
                size_t const before = length(mine);
                mine[before - 1] = 5;
                mine = block_resize(mine, n);
                if (length(mine) != before) ++wrong;
            } else {
                block_delete(mine);
                bool const zeroed = random() % 4 == 0;
                mine = zeroed ? block_new_zeroed(n) : block_new(n);
                if (zeroed && !all_zero(mine, n)) ++wrong;
            }
            sign(mine, n);
            mine = slot.exchange(mine);
            if (mine && !holds(mine)) ++wrong;
            block_delete(mine);
            if (i % 1000 == 999 && block_stats().cached_bytes > limit) ++wrong;
            if (i % 5000 == 4999) trim_blocks();
        }
    };
    for (unsigned round = 0; round < n_rounds; ++round) {  // threads come and go
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < n_threads; ++t)
            threads.emplace_back([&, seed = round * 100 + t] { work(seed); });
        for (auto& t : threads) t.join();
    }
    for (auto& slot : slots) block_delete(slot.load());
    CHECK(wrong == 0);
    CHECK(block_stats().live_bytes == live && block_stats().cached_bytes <= limit);
}

void check_resize() {
    for (size_t from : sizes)
        for (size_t to : sizes) {
            char* a = block_new(from);
            for (size_t i = 0; i < from; ++i) a[i] = static_cast<char>(i * 7 + 3);
            a = block_resize(a, to);
            CHECK(aligned(a) && block_capacity(a) >= to);
            bool kept = true;
            for (size_t i = 0; i < from && i < to; ++i)
                kept &= a[i] == static_cast<char>(i * 7 + 3);
            CHECK(kept);
            block_delete(a);
        }
    char* const a = block_resize(nullptr, 100);
    CHECK(aligned(a));
    block_delete(a);
}

// A child made while other threads are at work can use the cache.
void check_fork() {
    bool stop = false;
    std::thread busy([&] {
        while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) block_delete(block_new(100000));
    });
    for (int i = 0; i < 50; ++i) {
        pid_t const child = fork();
        if (child == 0) {
            alarm(20);
            block_delete(block_new(100000));
            _exit(0);
        }
        int status = 1;
        waitpid(child, &status, 0);
        CHECK(status == 0);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    busy.join();
}

void check_scratch() {
    uint64_t const taken = scratch_stats().taken;
    {
        Scratch a(100), b(5000), c(0);
        CHECK(aligned(a.get()) && aligned(b.get()) && aligned(c.get()));
        CHECK(b.get() >= a.get() + 100 && c.get() >= b.get() + 5000);
        memset(a.get(), 1, 100);
        memset(b.get(), 2, 5000);
        Scratch big(3 << 20);
        CHECK(aligned(big.get()));
        memset(big.get(), 3, 3 << 20);
        CHECK(a.get()[99] == 1 && b.get()[4999] == 2);
    }
    ScratchStats const after = scratch_stats();
    CHECK(after.taken >= taken + 5100 && after.held > 0 && after.held <= 1 << 20);
    CHECK(after.from_heap >= 3 << 20);
    char* first;
    {
        Scratch a(64);
        first = a.get();
    }
    {
        Scratch a(64);
        CHECK(a.get() == first);  // handed out again
    }
    {
        Scratch a(500000);  // the arena grows
        CHECK(aligned(a.get()));
        memset(a.get(), 1, 500000);
        Scratch b(500000);
        CHECK(aligned(b.get()));
        memset(b.get(), 2, 500000);
        CHECK(a.get()[499999] == 1);
    }
    Scratch impossible(SIZE_MAX);
    CHECK(impossible.get() == nullptr);
    Scratch too_much(size_t{1} << 60);
    CHECK(too_much.get() == nullptr);
    std::thread([] {
        CHECK(scratch_stats().held == 0);
        Scratch a(10);
        CHECK(aligned(a.get()));
    }).join();
}

}  // namespace

int main() {
    in_a_child(check_debugging);
    CHECK(block_cache_limit() > 0 && block_cache_limit() <= size_t{1} << 30);
    check_blocks();
    check_zeros();
    check_cache();
    check_limit_with_threads();
    check_threads_keep();
    check_failures();
    check_resize();
    check_model();
    check_fork();
    check_scratch();
    return checks.report("test_memory");
}
