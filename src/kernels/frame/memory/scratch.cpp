#include "frame/memory/scratch.h"

#include <pthread.h>
#include <stdlib.h>

#include "frame/memory/faults.h"
#include "frame/threads/thread_local.h"

namespace raptors {
namespace {

constexpr size_t line = 64;

constexpr size_t arena_least = size_t{128} << 10;
constexpr size_t arena_most = size_t{1} << 20;  // a longer request goes to malloc

struct Arena {
    char* base;
    size_t capacity;
    size_t used;
    uint64_t taken, alone;
    bool registered;  // this thread's end will free the arena
};
RAPTORS_TLS Arena arena;

pthread_key_t arena_key;
pthread_once_t arena_once = PTHREAD_ONCE_INIT;

void free_arena(void* pointer) {
    Arena* own = static_cast<Arena*>(pointer);
    free(own->base);
    own->base = nullptr;
    own->capacity = 0;
    own->registered = false;  // a later destructor of this thread may take scratch memory again
}

// An empty arena of at least `bytes`; false: out of memory, the arena is as it was.
bool grow_arena(Arena& own, size_t bytes) noexcept {
    size_t capacity = own.capacity ? own.capacity : arena_least;
    while (capacity < bytes) capacity *= 2;
    char* const base = static_cast<char*>(aligned_alloc(line, capacity));
    if (!base) return false;
    if (!own.registered) {
        pthread_once(&arena_once, [] { pthread_key_create(&arena_key, free_arena); });
        pthread_setspecific(arena_key, &own);
        own.registered = true;
    }
    free(own.base);
    own.base = base;
    own.capacity = capacity;
    return true;
}

}  // namespace

Scratch::Scratch(size_t bytes) noexcept : data_(nullptr), taken_(0) {
    if (bytes > size_t{1} << 40 || allocation_fails()) return;
    size_t const size = bytes ? (bytes + line - 1) / line * line : line;
    Arena& own = arena;
    if (size > own.capacity - own.used) [[unlikely]] {
        if (own.used || size > arena_most || !grow_arena(own, size)) {
            data_ = static_cast<char*>(aligned_alloc(line, size));  // taken_ stays 0: freed alone
            if (data_) own.alone += size;
            return;
        }
    }
    data_ = own.base + own.used;
    taken_ = size;
    own.used += size;
    own.taken += size;
}

Scratch::~Scratch() {
    if (taken_)
        arena.used -= taken_;
    else
        free(data_);
}

ScratchStats scratch_stats() noexcept { return {arena.taken, arena.alone, arena.capacity}; }

}  // namespace raptors
