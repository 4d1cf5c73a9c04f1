// What a kernel works on: rows of elements.
#pragma once
#include "api/types.h"

namespace raptors {

constexpr int max_inputs = 3, max_outputs = 2, max_arguments = 4;  // of a kernel
constexpr int max_operands = max_arguments + 1;                    // with the mask of where=

// rows x n elements of every operand, inputs first, then outputs; strides in bytes, of any sign;
// pointers need no alignment unless the kernel says so. An output may be one of the inputs (same
// pointer, same strides) but must not overlap them otherwise.
struct Block {
    char* data[max_operands];
    ptrdiff_t inner[max_operands];
    ptrdiff_t outer[max_operands];
    ptrdiff_t n;
    ptrdiff_t rows;
};
// `context` is what the kernel was made with; nullptr for those of the tables.
using KernelFn = void (*)(const Block&, const void* context) noexcept;

// Every elementwise kernel: one of the tables, a cast, or a loop of NumPy's.
struct Kernel {
    KernelFn function = nullptr;    // nullptr: there is no such kernel
    const void* context = nullptr;  // lives as long as the process
    uint8_t inputs = 0, outputs = 0;
    bool aligned = false;   // takes aligned operands only
    bool shareable = true;  // several threads may run it at once
    DType dtypes[max_arguments] = {};

    explicit operator bool() const noexcept { return function != nullptr; }
    void operator()(const Block& block) const noexcept { function(block, context); }
    int arguments() const noexcept { return inputs + outputs; }
    int size(int argument) const noexcept { return item_size(dtypes[argument]); }
};

// `rows` outputs, each reduced from n inputs: out[r] = out[r] (op) in[r][0] (op) ... (op)
// in[r][n-1]. The caller sets the outputs beforehand (identity, `initial`, or the first element for
// min and max). For argmin and argmax the outputs are int64 indices in 0..n-1 and are only written;
// n > 0.
struct ReduceBlock {
    const char* in;
    char* out;
    ptrdiff_t n;
    ptrdiff_t in_stride;  // bytes from one element of a row to the next
    ptrdiff_t rows;
    ptrdiff_t in_row;  // bytes from one row's first element to the next row's
    ptrdiff_t out_row;
    const char* centre = nullptr;  // of each row, for Table::deviation
    ptrdiff_t centre_row = 0;
};
using ReduceFn = void (*)(const ReduceBlock&) noexcept;

}  // namespace raptors
