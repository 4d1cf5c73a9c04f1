// What a kernel works on: rows of elements.
#pragma once
#include "api/types.h"

namespace raptors {

constexpr int max_operands = 4;  // three inputs and the output, which comes last

// rows x n elements of every operand; strides in bytes, of any sign; pointers need no alignment.
// The output may be one of the inputs (same pointer, same strides) but must not overlap them
// otherwise.
struct Block {
    char* data[max_operands];
    ptrdiff_t inner[max_operands];
    ptrdiff_t outer[max_operands];
    ptrdiff_t n;
    ptrdiff_t rows;
};
using BlockFn = void (*)(const Block&) noexcept;  // inputs first, then the output

// `rows` outputs, each folded from n inputs: out[r] = out[r] (op) in[r][0] (op) ... (op)
// in[r][n-1]. The caller sets the outputs beforehand (identity, `initial`, or the first element for
// min and max). For argmin and argmax the outputs are int64 indices in 0..n-1 and are only written;
// n > 0.
struct Reduction {
    const char* in;
    char* out;
    ptrdiff_t n;
    ptrdiff_t in_stride;  // bytes from one element of a fold to the next
    ptrdiff_t rows;
    ptrdiff_t in_row;  // bytes from one fold's first element to the next fold's
    ptrdiff_t out_row;
    const char* centre = nullptr;  // of each fold, for Table::deviation
    ptrdiff_t centre_row = 0;
};
using ReduceFn = void (*)(const Reduction&) noexcept;

}  // namespace raptors
