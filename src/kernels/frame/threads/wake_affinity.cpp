#include "frame/threads/wake_affinity.h"

#if defined(__linux__)
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace raptors {

#if defined(__linux__)

void Placement::come() noexcept {
    if (!narrowed_.load(std::memory_order_acquire)) return;
    syscall(SYS_sched_setaffinity, 0, bytes_, before_);
    narrowed_.store(false, std::memory_order_release);
}

void Placement::make_way(long thread) noexcept {
    int const here = sched_getcpu();
    if (here < 0 || narrowed_.load(std::memory_order_acquire)) return;
    // The system call tells how long its masks are, which the function of libc does not.
    long const bytes = syscall(SYS_sched_getaffinity, thread, sizeof before_, before_);
    if (bytes <= here / 8) return;
    auto const bit = static_cast<unsigned char>(1u << here % 8);
    if (!(before_[here / 8] & bit)) return;
    unsigned char others[sizeof before_];
    memcpy(others, before_, static_cast<size_t>(bytes));
    others[here / 8] &= static_cast<unsigned char>(~bit);
    bytes_ = static_cast<unsigned>(bytes);
    // Refused where there is no other processor.
    if (syscall(SYS_sched_setaffinity, thread, bytes_, others) == 0)
        narrowed_.store(true, std::memory_order_release);
}

#else

void Placement::come() noexcept {}
void Placement::make_way(long) noexcept {}

#endif

}  // namespace raptors
