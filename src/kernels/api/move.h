// Kernels that move elements: casts and copies, ranges, selection by a mask or by indices.
#pragma once
#include "api/block.h"

namespace raptors {

// out[i] = first + i * step for n contiguous elements; all of the kernel's dtype.
using ArangeFn = void (*)(const void* first, const void* step, void* out, ptrdiff_t n) noexcept;

// How many of n booleans are true.
using CountFn = ptrdiff_t (*)(const char* mask, ptrdiff_t n) noexcept;
// The numbers of those of n booleans that are true, `total` of them.
using NonzeroFn = void (*)(const char* mask, int64_t* positions, ptrdiff_t n,
                           ptrdiff_t total) noexcept;
// Those of n contiguous elements of `size` bytes whose boolean is true, `total` of them, one after
// the other.
using CompressFn = void (*)(const char* mask, const char* in, char* out, ptrdiff_t n,
                            ptrdiff_t total, ptrdiff_t size) noexcept;
// Each of them becomes the value in its place, `step` bytes from one to the next: contiguous, or 0
// for one value. No other element is written to.
using CopyMaskedFn = void (*)(const char* mask, const char* values, ptrdiff_t step, char* out,
                              ptrdiff_t n, ptrdiff_t size) noexcept;
// They become `total` contiguous values, in order: as many as there are. Nor is any other here.
using ExpandFn = void (*)(const char* mask, const char* values, char* out, ptrdiff_t n,
                          ptrdiff_t total, ptrdiff_t size) noexcept;

// What becomes of indices out of range: the kernel gives up; they are taken modulo the length; or
// they are the first or the last. Those below 0 count from the end, but for IndexMode::clip.
enum class IndexMode : uint8_t { raise, wrap, clip };
// n elements along an axis of an array, by their indices, and as many values, in each of several
// rows.
struct IndexBlock {
    char* array;
    char* values;
    const int64_t* indices;  // contiguous
    ptrdiff_t n;
    int64_t length;               // of the axis, at least 1
    ptrdiff_t step, values_step;  // bytes from one element to the next
    ptrdiff_t rows, row, values_row;
    ptrdiff_t size;  // bytes of an element
    IndexMode mode;
};
// The values become the elements. False: an index is out of range, and part of the values may be
// written.
using TakeFn = bool (*)(const IndexBlock&) noexcept;
// The elements become the values, where an index repeats the last one. Indices are in range, those
// below 0 counted from the end.
using PutFn = void (*)(const IndexBlock&) noexcept;
// Whether the block's indices are in range, under IndexMode::raise.
using InRangeFn = bool (*)(const IndexBlock&) noexcept;

// Each of n elements of `size` bytes `times` times, contiguous.
using RepeatFn = void (*)(const char* in, char* out, ptrdiff_t n, ptrdiff_t times,
                          ptrdiff_t size) noexcept;

struct MoveTable {
    KernelFn cast[n_dtypes][n_dtypes];  // [from][to]; [t][t] copies
    KernelFn copy[5];                   // elements of 1, 2, 4, 8 and 16 bytes
    KernelFn copy_sized;                // of any other size, a ptrdiff_t that is the context
    ArangeFn arange[n_dtypes];
    CountFn count_true;
    NonzeroFn nonzero;
    CompressFn compress;
    CopyMaskedFn copy_masked;
    ExpandFn expand;
    TakeFn take;
    PutFn put;
    InRangeFn in_range;
    RepeatFn repeat;
};

}  // namespace raptors
