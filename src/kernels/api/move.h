// Kernels that move elements: casts and copies, ranges, selection by a mask.
#pragma once
#include "api/block.h"

namespace raptors {

// out[i] = first + i * step for n contiguous elements; all of the kernel's dtype.
using ArangeFn = void (*)(const void* first, const void* step, void* out, ptrdiff_t n) noexcept;

// How many of n booleans are true.
using CountFn = ptrdiff_t (*)(const char* mask, ptrdiff_t n) noexcept;
// Those of n contiguous elements whose boolean is true, `total` of them, one after the other.
using CompressFn = void (*)(const char* mask, const void* in, void* out, ptrdiff_t n,
                            ptrdiff_t total) noexcept;

struct MoveTable {
    KernelFn cast[n_dtypes][n_dtypes];  // [from][to]; [t][t] copies
    KernelFn copy[5];                   // elements of 1, 2, 4, 8 and 16 bytes
    KernelFn copy_sized;                // of any other size, a ptrdiff_t that is the context
    ArangeFn arange[n_dtypes];
    CountFn count_true;
    CompressFn compress[5];  // elements of 1, 2, 4, 8 and 16 bytes
};

}  // namespace raptors
