// Equations with small matrices, and determinants: stacks of any layout.
#pragma once
#include "api/solve.h"
#include "frame/threads/costs.h"

namespace raptors {

// `count` and the steps to the next matrix follow from a nest of `dims` axes, each of one element
// at least. Results lie in its C order.
struct EquationStack : Equations {
    ptrdiff_t out_bytes;  // from one result to the next
    int dims;             // at most max_dims
    const ptrdiff_t* shape;
    const ptrdiff_t *a_stack, *b_stack;  // strides; 0: repeated
};

// False where a result is not to be used (see EquationsFn). The bits depend on the ISA, never on
// who works, on alignment, on the layout or on the place in a stack.
[[nodiscard]] bool run(EquationsFn kernel, const EquationStack& stack, WorkSplit split) noexcept;

// Nanoseconds that one thread takes, and how a call is best shared.
double cost_of(const EquationStack& stack) noexcept;
WorkSplit split_for(const EquationStack& stack, int threads) noexcept;

}  // namespace raptors
