#include "frame/threads/hand_off.h"

#include <time.h>

#include <atomic>

#include "frame/threads/clock.h"
#include "frame/threads/pool.h"

namespace raptors {

// Two chunks that wait for each other: two threads must have one each.
HandOff measure_hand_off() noexcept {
    std::atomic<int> here{0};
    auto meet = [&](ptrdiff_t) {
        here.fetch_add(1);
        int64_t const begin = now_ns();
        while (here.load(std::memory_order_acquire) < 2 && now_ns() - begin < 5'000'000)
            spin_pause();
    };
    auto once = [&] {
        here.store(0);
        uint64_t const helped = pool_stats().helped;
        int64_t const begin = now_ns();
        for_chunks(2, Team{2, true}, meet);
        int64_t const taken = now_ns() - begin;
        return pool_stats().helped > helped ? static_cast<double>(taken) : 0.0;
    };
    HandOff result = {0, 0};
    for (int i = 0; i < 2000; ++i) {
        double const ns = once();
        if (ns > 0 && (result.hot_ns <= 0 || ns < result.hot_ns)) result.hot_ns = ns;
    }
    // A sleeping thread comes late by chance: the middle of many.
    constexpr int times = 61;
    double slept[times];
    int found = 0;
    for (int i = 0; i < times; ++i) {
        timespec const gap = {0, 10 * spin_ns};
        nanosleep(&gap, nullptr);
        double const ns = once();
        if (ns <= 0) continue;
        int place = found++;
        for (; place > 0 && slept[place - 1] > ns; --place) slept[place] = slept[place - 1];
        slept[place] = ns;
    }
    if (found) result.parked_ns = slept[found / 2];
    return result;
}

}  // namespace raptors
