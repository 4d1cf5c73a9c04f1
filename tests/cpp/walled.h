// Memory between two pages that nobody may touch.
#pragma once
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>

class Walled {
public:
    static constexpr size_t bytes = size_t{64} << 20;
    Walled() {
        auto const page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        void* const all = mmap(nullptr, bytes + 2 * page, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        first_ = static_cast<char*>(all) + page;
        mprotect(first_ - page, page, PROT_NONE);
        mprotect(first_ + bytes, page, PROT_NONE);
    }
    // So many bytes right behind the first wall or right before the second.
    char* place(ptrdiff_t n, bool at_end) const { return at_end ? first_ + bytes - n : first_; }

private:
    char* first_;
};
