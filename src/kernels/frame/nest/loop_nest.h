// Loops over operands of one shape, and their parts.
#pragma once
#include "api/block.h"

namespace raptors {

constexpr int max_nest_operands = 8;  // of a program of kernels; one kernel takes max_operands

// Operands over one common shape (already broadcast: stride 0 where an operand repeats): inputs,
// outputs, the mask of where=.
struct Nest {
    int ndim;
    int operands;
    ptrdiff_t shape[max_dims];
    ptrdiff_t strides[max_nest_operands][max_dims];  // bytes
    char* data[max_nest_operands];
};

// k_order (axes.h) of the first `inputs` operands.
void k_order(const Nest& nest, int inputs, int* perm) noexcept;

// Reverses axes that run backwards in every operand, or in those whose elements lie closest along
// it, sorts axes so that the innermost has the smallest strides, drops length-1 axes and merges
// axes that are one run in memory for every operand. Elements correspond as before. An empty nest
// (some length 0) is reduced to one axis of length 0.
void simplify(Nest& nest) noexcept;

// Number of elements.
ptrdiff_t count(const Nest& nest) noexcept;

// Copies the axes and operands in use: a whole Nest is 4.6 KB.
void copy_used_axes(const Nest& from, Nest& to) noexcept;

// The parts of a simplified nest, of about `grain` elements each, cut along its outermost axes.
class Chunks {
public:
    Chunks(const Nest& nest, ptrdiff_t grain) noexcept;
    ptrdiff_t count() const noexcept { return count_; }
    void part(ptrdiff_t number, Nest& to) const noexcept;

private:
    const Nest& nest_;
    int axis_;          // that is cut; those outside it are gone through
    ptrdiff_t per_;     // its elements in a part
    ptrdiff_t pieces_;  // of the axis
    ptrdiff_t count_;
};

}  // namespace raptors
