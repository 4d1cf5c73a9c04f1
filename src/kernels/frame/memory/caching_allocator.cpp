#include "frame/memory/caching_allocator.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <initializer_list>
#include <new>

#include "frame/memory/faults.h"
#include "frame/threads/thread_local.h"

namespace raptors {

AllocationFaults allocation_faults;

void fail_allocation(int64_t n, bool sticky) noexcept {
    allocation_faults.sticky = sticky;
    allocation_faults.left.store(n, std::memory_order_relaxed);
}

namespace {

constexpr size_t line = block_unit;
constexpr size_t shared_from = size_t{32} << 10;  // shorter ones go from threads back to malloc
constexpr size_t thread_to = size_t{256} << 10;   // longer ones are shared only
constexpr size_t mapped_from = size_t{2} << 20;   // longer ones are mappings of their own
constexpr size_t huge_page = size_t{2} << 20;
constexpr size_t most = size_t{1} << 47;
constexpr uint64_t idle_seconds = 10;

// In front of every block. The links are in use while the block is kept; `mark` is the second in
// which it was freed, or the length asked for while it is in use (for debugging).
struct alignas(line) Header {
    void* origin;     // what malloc or mmap returned
    size_t mapped;    // length of the mapping; 0: from malloc
    size_t capacity;  // bytes of the block
    uint64_t mark;
    Header *newer, *older;  // by time of arrival
    Header *above, *below;  // in the stack of the same capacity
};
static_assert(sizeof(Header) == line && offsetof(Header, capacity) == line - capacity_before);

Header* header(const char* block) noexcept {
    return reinterpret_cast<Header*>(const_cast<char*>(block) - line);
}
char* block_of(Header* h) noexcept { return reinterpret_cast<char*>(h) + line; }

constexpr int class_count = size_class(size_t{1} << 48).index + 1;
constexpr int thread_classes = size_class(thread_to).index + 1;

// The stack that has a block for `bytes` of class `index`, or one at most a quarter longer; -1:
// none.
int find(Header* const* stacks, int classes, int index, size_t bytes) noexcept {
    for (int i = index; i < classes && i < index + 2; ++i)
        if (stacks[i] && (i == index || stacks[i]->capacity <= bytes + bytes / 4)) return i;
    return -1;
}

// ---- faults that debugging finds

constexpr size_t canary = 64;
void (*fault_handler)(const char*);
Header in_use;  // `above` of a block in use points here

bool check_in(Header* h) noexcept {
    if (h->above != &in_use) {
        fault_handler("an array's memory is freed twice, or was never an array's");
        return false;
    }
    const char* const end = block_of(h) + h->mark;
    for (size_t i = 0; i < canary; ++i)
        if (static_cast<unsigned char>(end[i]) != 0xFD) {
            fault_handler("an array's memory was written beyond its end");
            break;
        }
    memset(block_of(h), 0xDB, h->mark);
    return true;
}

void check_out(Header* h, size_t bytes) noexcept {
    h->above = &in_use;
    h->mark = bytes;
    memset(block_of(h) + bytes, 0xFD, canary);
}

// ---- the shared lists

struct Shared {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    Header* stacks[class_count];
    Header *newest, *oldest;
    size_t bytes, blocks, limit;
    size_t reserved;                    // of the limit, for what threads keep
    struct ThreadCache* threads;        // all that count
    uint64_t hits, misses, live_bytes;  // of threads that are gone
    bool ready;
};
Shared shared;
std::atomic<size_t> mapped_bytes{0};
std::atomic<unsigned> generation{1};  // of the limit
std::atomic<void (*)()> kept_hook{nullptr};

// ---- what a thread keeps

// Written by its thread alone, read by others for the statistics.
class Counter {
public:
    uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }
    void add(uint64_t n) noexcept { value_.store(get() + n, std::memory_order_relaxed); }

private:
    std::atomic<uint64_t> value_{0};
};

constexpr size_t thread_most = size_t{1} << 20;

struct ThreadCache {
    explicit constexpr ThreadCache(bool none) noexcept : closed(none) {}
    Header* stacks[thread_classes] = {};
    size_t budget = 0;        // bytes that it may keep
    size_t reserved = 0;      // its part of shared.reserved
    unsigned generation = 0;  // of the limit that it knows
    bool const closed;        // stands for threads that end, or that there was no memory for
    ThreadCache *next = nullptr, *previous = nullptr;
    // A block that is kept or reused changes two of these, no more.
    Counter kept_bytes, kept, reused;
    Counter held_bytes;  // in use or kept; modulo 2^64: other threads may free what this one made
    Counter found, misses;  // blocks of the shared lists, and fresh ones

    uint64_t kept_blocks() const noexcept { return kept.get() - reused.get(); }
    uint64_t live_bytes() const noexcept { return held_bytes.get() - kept_bytes.get(); }

    Header* pop(int index) noexcept {
        Header* const h = stacks[index];
        stacks[index] = h->below;
        kept_bytes.add(uint64_t{0} - h->capacity);
        reused.add(1);
        return h;
    }
    void push(int index, Header* h) noexcept {
        h->above = nullptr;
        h->below = stacks[index];
        stacks[index] = h;
        kept_bytes.add(h->capacity);
        kept.add(1);
    }
    bool has_room(size_t capacity) const noexcept { return kept_bytes.get() + capacity <= budget; }
    Header* take(SizeClass kind, size_t bytes) noexcept {
        int const index = find(stacks, thread_classes, kind.index, bytes);
        return index < 0 ? nullptr : pop(index);
    }
};
ThreadCache no_cache(true);
RAPTORS_TLS ThreadCache* thread_cache;
pthread_key_t thread_key;

uint64_t now() noexcept {
    timespec t;
#if defined(CLOCK_MONOTONIC_COARSE)
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
#else
    clock_gettime(CLOCK_MONOTONIC, &t);
#endif
    return static_cast<uint64_t>(t.tv_sec);
}

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

void close_thread(void*) noexcept;
void after_fork() noexcept;

class Lock {
public:
    Lock() noexcept {
        pthread_mutex_lock(&shared.mutex);
        if (shared.ready) [[likely]]
            return;
        shared.ready = true;
        size_t const share = memory_limit() / 8;
        shared.limit = share < size_t{1} << 30 ? share : size_t{1} << 30;
        pthread_key_create(&thread_key, close_thread);
        pthread_atfork([] { pthread_mutex_lock(&shared.mutex); },
                       [] { pthread_mutex_unlock(&shared.mutex); }, after_fork);
    }
    ~Lock() { pthread_mutex_unlock(&shared.mutex); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
};

void take_out(Header* h, int index) noexcept {
    (h->newer ? h->newer->older : shared.newest) = h->older;
    (h->older ? h->older->newer : shared.oldest) = h->newer;
    (h->above ? h->above->below : shared.stacks[index]) = h->below;
    if (h->below) h->below->above = h->above;
    shared.bytes -= h->capacity;
    --shared.blocks;
}

// Takes out what has been idle too long, and the oldest blocks until `room` more bytes fit; they
// are chained by `below`. Locked.
Header* evict(size_t room) noexcept {
    Header* out = nullptr;
    uint64_t const time = now();
    while (shared.oldest && (shared.bytes + room + shared.reserved > shared.limit ||
                             time - shared.oldest->mark > idle_seconds)) {
        Header* const h = shared.oldest;
        take_out(h, size_class(h->capacity).index);
        h->below = out;
        out = h;
    }
    return out;
}

void release(Header* h) noexcept {
    if (h->mapped) {
        mapped_bytes.fetch_sub(h->mapped, std::memory_order_relaxed);
        munmap(h->origin, h->mapped);
    } else {
        free(h->origin);
    }
}
void release_chain(Header* h) noexcept {
    while (h) {
        Header* const next = h->below;
        release(h);
        h = next;
    }
}

// Keeps a block for all threads, if the limit allows. The blocks to release. Locked.
Header* put(Header* h) noexcept {
    if (h->capacity < shared_from || h->capacity + shared.reserved > shared.limit) {
        h->below = nullptr;
        return h;
    }
    Header* const out = evict(h->capacity);
    int const index = size_class(h->capacity).index;
    h->mark = now();
    h->newer = nullptr;
    h->older = shared.newest;
    (shared.newest ? shared.newest->newer : shared.oldest) = h;
    shared.newest = h;
    h->above = nullptr;
    h->below = shared.stacks[index];
    if (h->below) h->below->above = h;
    shared.stacks[index] = h;
    shared.bytes += h->capacity;
    ++shared.blocks;
    if (void (*const kept)() = kept_hook.load(std::memory_order_acquire)) kept();
    return out;
}

Header* take(SizeClass kind, size_t bytes) noexcept {
    Lock lock;
    int const index = find(shared.stacks, class_count, kind.index, bytes);
    if (index < 0) return nullptr;
    Header* const h = shared.stacks[index];
    take_out(h, index);
    return h;
}

// ---- threads

void flush(ThreadCache& own) noexcept {
    Header* kept = nullptr;
    for (Header*& stack : own.stacks) {
        while (Header* const h = stack) {
            stack = h->below;
            h->below = kept;
            kept = h;
        }
    }
    uint64_t const bytes = own.kept_bytes.get();
    own.kept_bytes.add(uint64_t{0} - bytes);
    own.held_bytes.add(uint64_t{0} - bytes);
    own.kept.add(uint64_t{0} - own.kept_blocks());
    while (kept) {
        Header* const next = kept->below;
        Header* out;
        {
            Lock lock;
            out = put(kept);
        }
        release_chain(out);
        kept = next;
    }
}

// Registers the thread with the present limit, and reserves what it may keep.
__attribute__((noinline)) ThreadCache* open_thread() noexcept {
    ThreadCache* own = thread_cache;
    if (own)
        flush(*own);
    else if (void* const memory = malloc(sizeof(ThreadCache)))
        own = new (memory) ThreadCache(false);
    else
        return &no_cache;
    Header* out;
    {
        Lock lock;
        if (!thread_cache) {
            thread_cache = own;
            own->next = shared.threads;
            if (own->next) own->next->previous = own;
            shared.threads = own;
            pthread_setspecific(thread_key, own);
        }
        own->generation = generation.load(std::memory_order_relaxed);
        size_t const share = shared.limit / 16;
        own->budget = share < thread_most ? share : thread_most;
        shared.reserved -= own->reserved;
        if (shared.reserved + own->budget > shared.limit / 2) own->budget = 0;
        own->reserved = own->budget;
        shared.reserved += own->reserved;
        out = evict(0);
    }
    release_chain(out);
    return own;
}

// The thread's, if it is open and follows the present limit.
inline ThreadCache* current() noexcept {
    ThreadCache* const own = thread_cache;
    // A closed one has the generation 0, that of no limit.
    return own && own->generation == generation.load(std::memory_order_relaxed) ? own : nullptr;
}

ThreadCache& here() noexcept {
    if (ThreadCache* const own = current()) [[likely]]
        return *own;
    return thread_cache && thread_cache->closed ? *thread_cache : *open_thread();
}

// Counts a thread's numbers as those of the threads that are gone. Locked.
void leave(const ThreadCache& own) noexcept {
    (own.previous ? own.previous->next : shared.threads) = own.next;
    if (own.next) own.next->previous = own.previous;
    shared.hits += own.found.get() + own.reused.get();
    shared.misses += own.misses.get();
    shared.live_bytes += own.live_bytes();
}

void close_thread(void* pointer) noexcept {
    ThreadCache* const own = static_cast<ThreadCache*>(pointer);
    flush(*own);
    Lock lock;
    shared.reserved -= own->reserved;
    leave(*own);
    free(own);
    thread_cache = &no_cache;  // later destructors of this thread may use blocks
}

// Of the other threads only their counts are left: what they kept may have been half changed.
void after_fork() noexcept {
    shared.reserved = 0;
    for (ThreadCache* t = shared.threads; t; t = t->next)
        if (t != thread_cache) leave(*t);
    if (const ThreadCache* const own = thread_cache) shared.reserved = own->reserved;
    pthread_mutex_unlock(&shared.mutex);
}

// Blocks come into use from elsewhere, or go there; `held` modulo 2^64.
void count(ThreadCache& own, uint64_t held, uint64_t found, uint64_t misses) noexcept {
    if (own.closed) [[unlikely]] {
        Lock lock;
        shared.live_bytes += held;
        shared.hits += found;
        shared.misses += misses;
        return;
    }
    own.held_bytes.add(held);
    own.found.add(found);
    own.misses.add(misses);
}

// ---- fresh blocks

Header* place(void* origin, size_t mapped, size_t capacity) noexcept {
    uintptr_t const at = (reinterpret_cast<uintptr_t>(origin) + line - 1) & ~uintptr_t{line - 1};
    Header* const h = reinterpret_cast<Header*>(at);
    h->origin = origin;
    h->mapped = mapped;
    h->capacity = capacity;
    return h;
}

// A mapping that begins on a huge page: the first touch of a page is what a big fresh array costs.
Header* map(size_t capacity, size_t more) noexcept {
    constexpr size_t page = size_t{64} << 10;  // the longest in use
    size_t const length = (capacity + line + more + page - 1) & ~(page - 1);
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
    mapped_bytes.fetch_add(length, std::memory_order_relaxed);
    return place(from + lead, length, capacity);
}

Header* fresh(size_t capacity, bool zeroed) noexcept {
    size_t const more = fault_handler ? canary : 0;
    if (capacity >= mapped_from) return map(capacity, more);
    size_t const size = capacity + line + more + line - 16;  // malloc aligns to 16 only
    void* const got = zeroed ? calloc(1, size) : malloc(size);
    return got ? place(got, 0, capacity) : nullptr;
}

__attribute__((noinline)) char* allocate(size_t bytes, bool zeroed) noexcept {
    if (bytes > most || allocation_fails()) return nullptr;
    SizeClass const kind = size_class(bytes);
    ThreadCache& own = here();
    Header* h = own.take(kind, bytes);
    bool const kept = h;
    // A big zeroed block is a fresh mapping: O(1), and only pages that are used cost anything.
    if (!h && kind.capacity >= shared_from && !(zeroed && kind.capacity >= mapped_from))
        h = take(kind, bytes);
    bool const reused = h;
    if (!reused) {
        h = fresh(kind.capacity, zeroed);
        if (!h) {
            trim_blocks();
            h = fresh(kind.capacity, zeroed);
        }
        if (!h) return nullptr;
    }
    if (!kept) count(own, h->capacity, reused, !reused);
    if (zeroed && reused) memset(block_of(h), 0, bytes);
    if (fault_handler) [[unlikely]] {
        if (!zeroed) memset(block_of(h), 0xA5, bytes);
        check_out(h, bytes);
    }
    return block_of(h);
}

// What block_delete() does not keep as it stands.
__attribute__((noinline)) void give_back(Header* h) noexcept {
    if (fault_handler) [[unlikely]]
        if (!check_in(h)) return;
    ThreadCache& own = here();
    size_t const capacity = h->capacity;
    if (capacity <= thread_to && own.budget) {
        if (!own.has_room(capacity)) flush(own);
        if (capacity <= own.budget) return own.push(size_class(capacity).index, h);
    }
    count(own, uint64_t{0} - capacity, 0, 0);
    if (capacity < shared_from) {
        free(h->origin);
        return;
    }
    Header* out;
    {
        Lock lock;
        out = put(h);
    }
    release_chain(out);
}

// Whether nothing watches the blocks.
bool is_plain() noexcept {
    return !fault_handler && allocation_faults.left.load(std::memory_order_relaxed) == 0;
}

}  // namespace

[[gnu::hot]] char* block_new(size_t bytes) noexcept {
    if (bytes <= small_block && is_plain()) [[likely]]
        if (ThreadCache* const own = current()) [[likely]]
            if (int const index = size_class(bytes).index; own->stacks[index]) [[likely]]
                return block_of(own->pop(index));
    return allocate(bytes, false);
}
char* block_new_zeroed(size_t bytes) noexcept { return allocate(bytes, true); }

char* block_resize(char* block, size_t bytes) noexcept {
    if (!block) return block_new(bytes);
    size_t const capacity = block_capacity(block);
    size_t const length = fault_handler ? header(block)->mark : capacity;
    if (bytes <= capacity && (capacity <= small_block || bytes >= capacity / 2)) {
        if (fault_handler) check_out(header(block), bytes);
        return block;
    }
    char* const other = block_new(bytes);
    if (!other) return bytes <= capacity ? block : nullptr;
    memcpy(other, block, bytes < length ? bytes : length);
    block_delete(block);
    return other;
}

[[gnu::hot]] void block_delete(char* block) noexcept {
    if (!block) return;
    Header* const h = header(block);
    if (h->capacity <= small_block && !fault_handler) [[likely]]
        if (ThreadCache* const own = current(); own && own->has_room(h->capacity)) [[likely]]
            return own->push(size_class(h->capacity).index, h);
    give_back(h);
}

BlockStats block_stats() noexcept {
    Lock lock;
    BlockStats s = {shared.live_bytes, shared.bytes,  shared.blocks,
                    shared.hits,       shared.misses, mapped_bytes.load(std::memory_order_relaxed)};
    for (const ThreadCache* t = shared.threads; t; t = t->next) {
        s.live_bytes += t->live_bytes();
        s.cached_bytes += t->kept_bytes.get();
        s.cached_blocks += t->kept_blocks();
        s.hits += t->found.get() + t->reused.get();
        s.misses += t->misses.get();
    }
    return s;
}

void set_block_cache_limit(size_t bytes) noexcept {
    Header* out;
    {
        Lock lock;
        shared.limit = bytes;
        shared.reserved = 0;
        for (ThreadCache* t = shared.threads; t; t = t->next) {  // until they know of it
            t->reserved = t->kept_bytes.get();
            shared.reserved += t->reserved;
        }
        generation.fetch_add(1, std::memory_order_relaxed);
        out = evict(0);
    }
    release_chain(out);
    here();
}

size_t block_cache_limit() noexcept {
    Lock lock;
    return shared.limit;
}

void trim_blocks() noexcept {
    if (thread_cache) flush(*thread_cache);
    Header* out;
    {
        Lock lock;
        size_t const limit = shared.limit;
        shared.limit = 0;
        out = evict(0);
        shared.limit = limit;
    }
    release_chain(out);
}

int give_back_idle_blocks() noexcept {
    Header* out;
    int seconds = 0;
    {
        Lock lock;
        out = evict(0);
        if (shared.oldest)
            seconds = static_cast<int>(idle_seconds + 1 - (now() - shared.oldest->mark));
    }
    release_chain(out);
    return seconds;
}

void watch_kept_blocks(void (*kept)()) noexcept {
    Lock const lock;
    kept_hook.store(kept, std::memory_order_release);
}

void debug_blocks(void (*fault)(const char* what)) noexcept { fault_handler = fault; }

}  // namespace raptors
