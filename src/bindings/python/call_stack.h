// Who called: return addresses on the C stack, from outside this module on. What two ways of being
// called look like is observed once; afterwards they are told apart.
#pragma once
#include "python/pybind.h"

#if __has_include(<execinfo.h>) && __has_include(<dlfcn.h>)
#define RAPTORS_WALKS_THE_STACK
#endif

namespace raptors {

#if defined(RAPTORS_WALKS_THE_STACK)
struct Callers {
    static constexpr int longest = 12, most_own = 8;  // own: frames of this module
    void* at[longest];
    int n;  // at most as many as were asked for
};
Callers callers(int most);

// Where the library that holds this address begins; nullptr if nobody knows. Guarded by the GIL.
void* library_of(void* address);
#endif

}  // namespace raptors
