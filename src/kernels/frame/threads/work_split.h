// Elementwise calls and reductions, by one thread or several.
#pragma once
#include <atomic>

#include "frame/run/iterate.h"
#include "frame/threads/costs.h"

namespace raptors {

// A kernel that is not shareable is run by the caller alone, and uncut.
inline WorkSplit split_of(const Kernel& kernel, WorkSplit split) noexcept {
    return kernel.shareable ? split : unsplit;
}

// Elementwise over a simplified nest. Results do not depend on who works.
void run(const Kernel& kernel, const Nest& nest, WorkSplit split) noexcept;
// run(part) for every part of a simplified nest. False if one said so.
template <class Run>
bool for_parts(const Nest& nest, WorkSplit split, const Run& run) noexcept {
    if (split.grain == unsplit.grain) return run(nest);
    Chunks const chunks(nest, split.grain);
    if (chunks.count() < 2 || chunks.count() > most_chunks) return run(nest);
    std::atomic<bool> done{true};
    for_chunks(chunks.count(), split.team, [&](ptrdiff_t i) {
        Nest part;
        chunks.part(i, part);
        if (!run(part)) done.store(false, std::memory_order_relaxed);
    });
    return done.load(std::memory_order_relaxed);
}

// How an operand differs from what the kernel takes.
struct Conversion {
    KernelFn cast;  // nullptr: none needed
    int size;       // bytes of an element of the kernel's dtype
};
// The same with casts; false: out of memory, the output may be partly written.
[[nodiscard]] bool run(const Kernel& kernel, const Nest& nest, const Conversion* conversions,
                       WorkSplit split = unsplit) noexcept;
// where=: the last operand is the boolean mask. Conversions may be nullptr.
[[nodiscard]] bool run_masked(const Kernel& kernel, const Nest& nest, const Conversion* conversions,
                              WorkSplit split = unsplit) noexcept;

// How the parts of a long row come together.
struct Joining {
    KernelFn join;    // of two results; nullptr: a row stays with one thread
    int size;         // bytes of a result
    bool from_first;  // a part begins with its first element (of the result's dtype), or
    Element neutral;  // with this, which changes nothing;
    bool stops;       // a part that is something else decides: any, all
};
// As run_reduce without casts; a third operand is the centre that Table::deviation takes, with
// stride 0 along the reduced axes. Results do not depend on who works: parts are nodes of the tree
// by which a kernel adds.
void run_reduce(ReduceFn kernel, const Nest& nest, const Joining& joining,
                WorkSplit split) noexcept;

// Where the extreme of n contiguous elements of `size` bytes is.
int64_t run_argreduce(ReduceFn kernel, const char* in, ptrdiff_t n, int size,
                      WorkSplit split) noexcept;

}  // namespace raptors
