// Long results written past the caches.
#pragma once
#include "../api.h"

namespace raptors {

// Writing a result pushes others out of the caches and costs a read of every line first, so where
// the last-level cache cannot hold the operands anyway, pieces are computed into a buffer in L1 and
// stored with non-temporal stores. Measured: 1.3x from 48 MiB of operands on where a Zen 5 has 32
// MiB of its own, 1.2x to 1.5x from 64 MiB on where a Sapphire Rapids tells of 300 MiB that all its
// cores share, with a sum of the result behind; below that the next operation would miss what it
// finds in the cache now (0.7x to 0.8x).

// Whether a call streams as a whole.
bool streams(const Block& block, int operands, int out_size) noexcept;

// A part of such a call through an elementwise kernel.
void run_streaming(ElementwiseFn kernel, const Block& block, int operands, int out_size) noexcept;

// Bytes of all operands from which on calls stream: what was set, or built in. PTRDIFF_MAX: never
// on this processor.
ptrdiff_t stream_from() noexcept;
void set_stream_from(ptrdiff_t bytes) noexcept;

// From how many bytes on a sum of two arrays is faster if it streams, with a fold of the result
// behind it; what is built in where that is not found.
ptrdiff_t measure_stream_from(const Table& table) noexcept;

}  // namespace raptors
