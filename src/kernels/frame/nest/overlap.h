// What operands share of memory.
#pragma once
#include "frame/nest/loop_nest.h"

namespace raptors {

// Where the bytes of an operand's elements lie, the end excluded. Of no element: nothing.
struct Extent {
    const char *low, *high;
};
Extent extent_of(const char* data, int ndim, const ptrdiff_t* shape, const ptrdiff_t* strides,
                 ptrdiff_t size) noexcept;
inline bool disjoint(Extent a, Extent b) noexcept { return a.high <= b.low || b.high <= a.low; }

// Whether no byte belongs to two elements. False may be wrong.
bool is_injective(int ndim, const ptrdiff_t* shape, const ptrdiff_t* strides,
                  ptrdiff_t size) noexcept;

// Whether two operands of a (not necessarily simplified) nest may share memory in a way that
// matters to an elementwise kernel: false if their extents are disjoint or they are the same
// elements in the same order (same pointer and strides).
bool overlaps(const Nest& nest, int input, int input_size, int output, int output_size) noexcept;

}  // namespace raptors
