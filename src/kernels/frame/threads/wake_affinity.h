// Where the system puts a thread that another one wakes.
#pragma once
#include <atomic>

namespace raptors {

// Linux wakes a thread where it slept or where its waker runs, and takes an idle processor instead
// if it finds one: not among those that were used much of late, and not in a virtual machine, where
// an idle processor looks like one that the host has taken away. Thread and waker then take turns
// on one processor, for milliseconds, next to an idle one. So the waker, which has work of its own,
// excludes its processor (1 us), and the thread, awake, may go everywhere again. Does nothing on
// other systems.
class Placement {
public:
    // By the thread: at its start, and when it has been woken.
    void start() noexcept { narrowed_.store(false, std::memory_order_relaxed); }
    void come() noexcept;
    // By its waker, before; `thread` is the system's number of it. Not while another one does.
    void make_way(long thread) noexcept;

private:
    std::atomic<bool> narrowed_{false};
#if defined(__linux__)
    alignas(8) unsigned char before_[1024];  // its mask: 8192 processors
    unsigned bytes_ = 0;
#endif
};

}  // namespace raptors
