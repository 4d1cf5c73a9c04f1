#include "memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <initializer_list>

namespace raptors {
namespace {

constexpr size_t line = 64;

#if defined(__linux__)
#define RAPTORS_TLS static thread_local __attribute__((tls_model("initial-exec")))
#else
#define RAPTORS_TLS static thread_local
#endif

// ---- Scratch

constexpr size_t arena_least = size_t{128} << 10;
constexpr size_t arena_most = size_t{1} << 20;  // a longer request goes to malloc

struct Arena {
    char* base;
    size_t capacity;
    size_t used;
    uint64_t taken;
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
    if (bytes > size_t{1} << 40) return;
    size_t const size = bytes ? (bytes + line - 1) / line * line : line;
    Arena& own = arena;
    if (size > own.capacity - own.used) [[unlikely]] {
        if (own.used || size > arena_most || !grow_arena(own, size)) {
            data_ = static_cast<char*>(aligned_alloc(line, size));  // taken_ stays 0: freed alone
            if (data_) own.taken += size;
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

ScratchStats scratch_stats() noexcept { return {arena.taken, arena.capacity}; }

// ---- Blocks

namespace {

constexpr size_t cached_from = size_t{32} << 10;  // shorter ones: malloc is as fast
constexpr size_t mapped_from = size_t{4} << 20;   // longer ones are mappings of their own
constexpr size_t huge_page = size_t{2} << 20;

// In front of every block. The links are in use while the block is in the cache only.
struct alignas(line) Header {
    void* origin;           // what malloc or mmap returned
    size_t mapped;          // length of the mapping; 0: from malloc
    size_t capacity;        // bytes of the block
    Header *newer, *older;  // by time of arrival
    Header *above, *below;  // in the stack of the same capacity
};
static_assert(sizeof(Header) == line);

Header* header(const char* block) noexcept {
    return reinterpret_cast<Header*>(const_cast<char*>(block) - line);
}
char* block_of(Header* h) noexcept { return reinterpret_cast<char*>(h) + line; }

// Eight capacities per power of two, so that a block in the cache is at most 1/8 longer than what
// it serves.
constexpr int class_count = 8 * (48 - 15) + 1;
struct SizeClass {
    int index;  // class_count or more: not cached
    size_t capacity;
};
SizeClass size_class(size_t bytes) noexcept {
    int const power = 63 - __builtin_clzll(bytes - 1);  // bytes in (2^power, 2^(power+1)]
    size_t const step = size_t{1} << (power - 3);
    size_t const capacity = (bytes + step - 1) & ~(step - 1);
    int const eighth = static_cast<int>((capacity - (size_t{1} << power)) / step);  // 1..8
    return {8 * (power - 14) + eighth - 8, capacity};
}

struct Cache {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    Header* stacks[class_count];
    Header *newest, *oldest;
    size_t bytes, blocks, limit;
    uint64_t hits, misses;
    bool ready;
};
Cache cache;

// The memory this process may use: physical, or the control group's limit.
size_t memory_limit() noexcept {
    long const pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t least = pages > 0 && page > 0 ? static_cast<size_t>(pages) * static_cast<size_t>(page)
                                         : size_t{1} << 30;
    for (const char* path :
         {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
        FILE* const file = fopen(path, "re");
        if (!file) continue;
        unsigned long long bytes;
        if (fscanf(file, "%llu", &bytes) == 1 && bytes && bytes < least) least = bytes;
        fclose(file);
    }
    return least;
}

class Lock {
public:
    Lock() noexcept {
        pthread_mutex_lock(&cache.mutex);
        if (cache.ready) [[likely]]
            return;
        cache.ready = true;
        size_t const share = memory_limit() / 8;
        cache.limit = share < size_t{1} << 30 ? share : size_t{1} << 30;
        pthread_atfork([] { pthread_mutex_lock(&cache.mutex); },
                       [] { pthread_mutex_unlock(&cache.mutex); },
                       [] { pthread_mutex_unlock(&cache.mutex); });
    }
    ~Lock() { pthread_mutex_unlock(&cache.mutex); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
};

void take_out(Header* h, int index) noexcept {
    (h->newer ? h->newer->older : cache.newest) = h->older;
    (h->older ? h->older->newer : cache.oldest) = h->newer;
    (h->above ? h->above->below : cache.stacks[index]) = h->below;
    if (h->below) h->below->above = h->above;
    cache.bytes -= h->capacity;
    --cache.blocks;
}

// Takes the oldest blocks out until `room` more bytes fit; they are chained by `below`. Locked.
Header* evict(size_t room) noexcept {
    Header* out = nullptr;
    while (cache.oldest && cache.bytes + room > cache.limit) {
        Header* const h = cache.oldest;
        take_out(h, size_class(h->capacity).index);
        h->below = out;
        out = h;
    }
    return out;
}

void release(Header* h) noexcept {
    if (h->mapped)
        munmap(h->origin, h->mapped);
    else
        free(h->origin);
}
void release_chain(Header* h) noexcept {
    while (h) {
        Header* const next = h->below;
        release(h);
        h = next;
    }
}

Header* place(void* origin, size_t mapped, size_t capacity) noexcept {
    uintptr_t const at = (reinterpret_cast<uintptr_t>(origin) + line - 1) & ~uintptr_t{line - 1};
    Header* const h = reinterpret_cast<Header*>(at);
    h->origin = origin;
    h->mapped = mapped;
    h->capacity = capacity;
    return h;
}

// Bytes to ask malloc for, which aligns to 16 only.
constexpr size_t with_header(size_t capacity) noexcept { return capacity + line + line - 16; }

// A mapping that begins on a huge page: the first touch of a page is what a big fresh array costs.
Header* map(size_t capacity) noexcept {
    constexpr size_t page = size_t{64} << 10;  // the longest in use
    size_t const length = (capacity + line + page - 1) & ~(page - 1);
    void* const got = mmap(nullptr, length + huge_page, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (got == MAP_FAILED) return nullptr;
    char* const from = static_cast<char*>(got);
    size_t const lead = (huge_page - reinterpret_cast<uintptr_t>(from) % huge_page) % huge_page;
    if (lead) munmap(from, lead);
    if (lead != huge_page) munmap(from + lead + length, huge_page - lead);
#if defined(MADV_HUGEPAGE)
    madvise(from + lead, length, MADV_HUGEPAGE);
#endif
    return place(from + lead, length, capacity);
}

Header* fresh(size_t capacity, bool zeroed) noexcept {
    if (capacity >= mapped_from) return map(capacity);
    size_t const size = with_header(capacity);
    void* const got = zeroed ? calloc(1, size) : malloc(size);
    return got ? place(got, 0, capacity) : nullptr;
}

char* allocate(size_t bytes, bool zeroed) noexcept {
    if (bytes < cached_from) {
        size_t const capacity = bytes <= tiny_block    ? tiny_block
                                : bytes <= small_block ? small_block
                                                       : (bytes + line - 1) & ~(line - 1);
        Header* h = fresh(capacity, zeroed);
        if (!h) {
            trim_blocks();
            h = fresh(capacity, zeroed);
        }
        return h ? block_of(h) : nullptr;
    }
    if (bytes > size_t{1} << 47) return nullptr;
    SizeClass const kind = size_class(bytes);
    // A big zeroed block is a fresh mapping: O(1), and only pages that are used cost anything.
    if (!zeroed || kind.capacity < mapped_from) {
        Header* h;
        {
            Lock lock;
            // At most 1/4 longer; big ones, whose pages would otherwise be touched anew, up to
            // twice as long.
            int const last = kind.index + (kind.capacity < mapped_from ? 1 : 8);
            int index = kind.index;
            while (!(h = cache.stacks[index]) && index < last && index + 1 < class_count) ++index;
            if (h) take_out(h, index);
            ++(h ? cache.hits : cache.misses);
        }
        if (h) {
            if (zeroed) memset(block_of(h), 0, bytes);
            return block_of(h);
        }
    }
    Header* h = fresh(kind.capacity, zeroed);
    if (!h) {
        trim_blocks();
        h = fresh(kind.capacity, zeroed);
    }
    return h ? block_of(h) : nullptr;
}

}  // namespace

char* block_new(size_t bytes) noexcept { return allocate(bytes, false); }
char* block_new_zeroed(size_t bytes) noexcept { return allocate(bytes, true); }

char* block_resize(char* block, size_t bytes) noexcept {
    if (!block) return block_new(bytes);
    size_t const capacity = block_capacity(block);
    if (bytes <= capacity && (capacity <= small_block || bytes >= capacity / 2)) return block;
    char* const other = block_new(bytes);
    if (!other) return bytes <= capacity ? block : nullptr;
    memcpy(other, block, bytes < capacity ? bytes : capacity);
    block_delete(block);
    return other;
}

void block_delete(char* block) noexcept {
    if (!block) return;
    Header* const h = header(block);
    if (h->capacity < cached_from) {
        free(h->origin);
        return;
    }
    Header* out;
    {
        Lock lock;
        if (h->capacity > cache.limit) {
            out = h;
            h->below = nullptr;
        } else {
            out = evict(h->capacity);
            int const index = size_class(h->capacity).index;
            h->newer = nullptr;
            h->older = cache.newest;
            (cache.newest ? cache.newest->newer : cache.oldest) = h;
            cache.newest = h;
            h->above = nullptr;
            h->below = cache.stacks[index];
            if (h->below) h->below->above = h;
            cache.stacks[index] = h;
            cache.bytes += h->capacity;
            ++cache.blocks;
        }
    }
    release_chain(out);
}

size_t block_capacity(const char* block) noexcept { return header(block)->capacity; }

BlockStats block_stats() noexcept {
    Lock lock;
    return {cache.bytes, cache.blocks, cache.hits, cache.misses};
}

void set_block_cache_limit(size_t bytes) noexcept {
    Header* out;
    {
        Lock lock;
        cache.limit = bytes;
        out = evict(0);
    }
    release_chain(out);
}

size_t block_cache_limit() noexcept {
    Lock lock;
    return cache.limit;
}

void trim_blocks() noexcept {
    Header* out;
    {
        Lock lock;
        size_t const limit = cache.limit;
        cache.limit = 0;
        out = evict(0);
        cache.limit = limit;
    }
    release_chain(out);
}

}  // namespace raptors
