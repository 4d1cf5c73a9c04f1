// Kernels that move elements: casts and copies, ranges, selection by a mask or by indices.
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

// What becomes of indices out of range: the kernel gives up; they are taken modulo the length; or
// they are the first or the last. Those below 0 count from the end, but for IndexMode::clip.
enum class IndexMode : uint8_t { raise, wrap, clip };
// n elements along an axis, by their indices, in each of several rows.
struct TakeBlock {
    const char* from;
    char* to;
    const int64_t* indices;  // contiguous
    ptrdiff_t n;
    int64_t length;                // of the axis, at least 1
    ptrdiff_t from_step, to_step;  // bytes from one element to the next
    ptrdiff_t rows, from_row, to_row;
    ptrdiff_t size;  // bytes of an element
    IndexMode mode;
};
// False: an index is out of range, and the output may be partly written.
using TakeFn = bool (*)(const TakeBlock&) noexcept;

struct MoveTable {
    KernelFn cast[n_dtypes][n_dtypes];  // [from][to]; [t][t] copies
    KernelFn copy[5];                   // elements of 1, 2, 4, 8 and 16 bytes
    KernelFn copy_sized;                // of any other size, a ptrdiff_t that is the context
    ArangeFn arange[n_dtypes];
    CountFn count_true;
    CompressFn compress[5];  // elements of 1, 2, 4, 8 and 16 bytes
    TakeFn take;
};

}  // namespace raptors
