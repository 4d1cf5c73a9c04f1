// Elementwise calls and folds, by one thread or several.
#pragma once
#include <atomic>

#include "frame/run/iterate.h"
#include "frame/threads/costs.h"

namespace raptors {

// run(part) for every part of the nest, by the crew. False if one said so.
template <class Run>
bool for_parts(const Nest& nest, Share share, const Run& run) noexcept {
    Chunks const chunks(nest, share.grain);
    if (chunks.count() < 2 || chunks.count() > most_chunks) return run(nest);
    std::atomic<bool> done{true};
    for_chunks(chunks.count(), share.crew, [&](ptrdiff_t i) {
        Nest part;
        chunks.part(i, part);
        if (!run(part)) done.store(false, std::memory_order_relaxed);
    });
    return done.load(std::memory_order_relaxed);
}

// Elementwise over a simplified nest. Results do not depend on who works.
void run(const Kernel& kernel, const Nest& nest, Share share) noexcept;
// The same with casts; false: out of memory, the output may be partly written.
[[nodiscard]] bool run(const Kernel& kernel, const Nest& nest, const Conversion* conversions,
                       Share share) noexcept;
[[nodiscard]] bool run_masked(const Kernel& kernel, const Nest& nest, const Conversion* conversions,
                              Share share) noexcept;

// How the parts of a long fold come together.
struct Joining {
    KernelFn join;    // of two results; nullptr: a fold stays with one thread
    int size;         // bytes of a result
    bool from_first;  // a part begins with its first element (of the result's dtype), or
    char neutral[8];  // with this, which changes nothing;
    bool stops;       // a part that is something else decides: any, all
};
// As run_reduce without casts; a third operand is the centre that Table::deviation takes, with
// stride 0 along the folded axes. Results do not depend on who works: parts are nodes of the tree
// by which a kernel adds.
void run_reduce(ReduceFn kernel, const Nest& nest, const Joining& joining, Share share) noexcept;

// Where the extreme of n contiguous elements of `size` bytes is.
int64_t run_argreduce(ReduceFn kernel, const char* in, ptrdiff_t n, int size, Share share) noexcept;

}  // namespace raptors
