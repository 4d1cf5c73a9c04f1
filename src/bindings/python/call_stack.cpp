#include "python/call_stack.h"

#if defined(RAPTORS_WALKS_THE_STACK)
#include <dlfcn.h>
#include <execinfo.h>

#include <algorithm>

namespace raptors {

// dladdr reads the whole symbol table; the addresses are few.
void* library_of(void* address) {
    constexpr size_t slots = 512;
    static struct {
        void *address, *library;
    } seen[slots];
    auto& slot = seen[(reinterpret_cast<uintptr_t>(address) >> 2) % slots];
    if (slot.address != address) {
        Dl_info info;
        slot = {address, dladdr(address, &info) ? info.dli_fbase : nullptr};
    }
    return slot.library;
}

Callers callers(int most) {
    static void* const own = library_of(reinterpret_cast<void*>(&callers));
    void* frames[Callers::most_own + Callers::longest];
    int const n = backtrace(frames, Callers::most_own + most);
    int i = 0;
    while (i < n && own && library_of(frames[i]) == own) ++i;
    Callers found{};
    found.n = std::min(n - i, most);
    std::copy_n(frames + i, found.n, found.at);
    return found;
}

}  // namespace raptors
#endif
