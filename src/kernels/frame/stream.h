// Long results written past the caches.
#pragma once
#include "../api.h"

namespace raptors {

// Where the operands are more than the last-level cache holds, writing a result pushes others out
// and costs a read of every line first: then pieces are computed into a buffer in L1 and stored
// with non-temporal stores. Measured on Zen 5 (32 MiB L3), from 48 MiB of operands on: 1.3x for two
// inputs, 1.0x to 1.2x for one; below that the next operation would miss what it finds in L3 now
// (0.8x).

// Whether that is so for the whole of a call.
bool streams(const Block& block, int operands, int out_size) noexcept;

// A part of such a call through an elementwise kernel.
void run_streaming(ElementwiseFn kernel, const Block& block, int operands, int out_size) noexcept;

// Bytes of all operands from which on calls stream; PTRDIFF_MAX: never on this processor.
ptrdiff_t stream_threshold() noexcept;

}  // namespace raptors
