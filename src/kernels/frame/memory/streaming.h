// Long results written past the caches.
#pragma once
#include "api/block.h"

namespace raptors {

struct Table;  // api/table.h

// Writing a result pushes others out of the caches and costs a read of every line first, so where
// the last-level cache cannot hold the operands anyway, pieces are computed into a buffer in L1 and
// stored with non-temporal stores. Measured on Zen 5 (32 MiB of L3), from 48 MiB of operands on:
// 1.3x for two inputs, 1.0x to 1.2x for one; below that the next operation would miss what it finds
// in L3 now (0.8x). On Emerald Rapids, which tells of 300 MiB that all cores share, with a sum of
// the result behind: 1.1x to 1.3x from 64 MiB on, 0.9x to 1.2x from 24 MiB on, 0.4x to 0.8x below.

// Where inputs and the output lie across each other, as in a.T.copy(), tiles are computed into the
// buffer, from some megabytes on: the lines of such a result would come one by one. Measured on Ice
// Lake, transposed copies in ms, not streamed, in tiles and (NumPy's): float32 2048 x 2048 5.9, 2.0
// (20), 4096 x 4096 28, 9.8 (135); float64 9.4, 3.9 (23) and 38, 16 (150).

// Whether a call streams as a whole.
bool streams(const Kernel& kernel, const Block& block) noexcept;

// A part of such a call through an elementwise kernel.
void run_streaming(const Kernel& kernel, const Block& block) noexcept;

// memcpy past the caches. Measured on Zen 4 (32 MiB of L3), against glibc's: 1.4x for 32 MiB, 1.7x
// from 64 MiB on.
void copy_streaming(char* to, const char* from, ptrdiff_t bytes) noexcept;

// Bytes of all operands from which on calls stream: what was set, or built in. PTRDIFF_MAX: never
// on this processor.
ptrdiff_t stream_from() noexcept;
void set_stream_from(ptrdiff_t bytes) noexcept;

// From how many bytes on a sum of two arrays is faster if it streams, with a reduction of the
// result behind it; what is built in where that is not found.
ptrdiff_t measure_stream_from(const Table& table) noexcept;

}  // namespace raptors
