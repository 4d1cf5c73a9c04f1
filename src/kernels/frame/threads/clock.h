// Time and waiting, for those who spin.
#pragma once
#include <time.h>

#include <cstdint>

namespace raptors {

// Nanoseconds since some moment; never runs backwards.
inline int64_t now_ns() noexcept {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

// In a loop that waits for another thread.
inline void spin_pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

}  // namespace raptors
