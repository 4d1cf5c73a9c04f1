// Scratch arenas and the block cache.
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "check.h"
#include "frame/memory.h"

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
        CHECK(n > small_block ? block_capacity(a) <= n + n / 8 + 64
                              : block_capacity(a) == (n > tiny_block ? small_block : tiny_block));
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
    set_block_cache_limit(3 << 20);
    char* blocks[5];
    for (char*& b : blocks) b = block_new(1 << 20);
    for (char* b : blocks) block_delete(b);
    CHECK(block_stats().cached_blocks == 3 && block_stats().cached_bytes <= 3 << 20);
    CHECK(block_new(1 << 20) == blocks[4]);
    CHECK(block_new(1 << 20) == blocks[3]);
    CHECK(block_new(1 << 20) == blocks[2]);
    for (int i = 2; i < 5; ++i) block_delete(blocks[i]);
    set_block_cache_limit(1 << 20);
    CHECK(block_stats().cached_blocks == 1);
    CHECK(block_cache_limit() == 1 << 20);
    block_delete(block_new(8 << 20));  // longer than the cap
    CHECK(block_stats().cached_blocks == 1);
    set_block_cache_limit(0);
    block_delete(block_new(1 << 20));
    CHECK(block_stats().cached_blocks == 0 && block_stats().cached_bytes == 0);
    set_block_cache_limit(size_t{64} << 20);
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

void check_threads() {
    set_block_cache_limit(size_t{16} << 20);
    auto work = [](unsigned seed) {
        std::mt19937 random(seed);
        std::vector<std::pair<char*, size_t>> held;
        long wrong = 0;
        for (int i = 0; i < 3000; ++i) {
            if (held.size() < 8 && random() % 3) {
                size_t const n = size_t{1} << (random() % 21);
                bool const zeroed = random() % 2;
                char* const p = zeroed ? block_new_zeroed(n) : block_new(n);
                if (!aligned(p) || (zeroed && (p[0] || p[n / 2] || p[n - 1]))) ++wrong;
                p[0] = p[n - 1] = p[n / 2] = static_cast<char>(seed + 1);
                held.emplace_back(p, n);
            } else if (!held.empty()) {
                size_t const k = random() % held.size();
                auto& [p, n] = held[k];
                char const mark = static_cast<char>(seed + 1);
                if (p[0] != mark || p[n - 1] != mark) ++wrong;
                if (random() % 4 == 0) {
                    n = n * 2 + 1;
                    p = block_resize(p, n);
                    if (p[0] != mark) ++wrong;
                    p[n - 1] = p[n / 2] = mark;
                } else {
                    block_delete(p);
                    held[k] = held.back();
                    held.pop_back();
                }
            }
            if (i % 500 == 0) {
                Scratch s(random() % 300000);
                memset(s.get(), 1, 1);
            }
            if (i % 1000 == 999) trim_blocks();
        }
        for (auto& [p, n] : held) block_delete(p);
        return wrong;
    };
    long wrong[8] = {};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 8; ++t) threads.emplace_back([&, t] { wrong[t] = work(t); });
    for (auto& t : threads) t.join();
    for (long w : wrong) CHECK(w == 0);
    CHECK(block_stats().cached_bytes <= size_t{16} << 20);
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
    CHECK(after.taken >= taken + 5100 + (3 << 20) && after.held > 0 && after.held <= 1 << 20);
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
    CHECK(block_cache_limit() > 0 && block_cache_limit() <= size_t{1} << 30);
    check_blocks();
    check_cache();
    check_resize();
    check_threads();
    check_fork();
    check_scratch();
    return checks.report("test_memory");
}
