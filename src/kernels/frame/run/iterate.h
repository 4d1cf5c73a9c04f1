// The stride-aware iterator: any broadcast, any layout -> blocks of two loops for the kernels.
#pragma once
#include "frame/nest/loop_nest.h"

namespace raptors {

// Elementwise over a simplified nest of operands that have the kernel's own dtypes.
void run(const Kernel& kernel, const Nest& nest) noexcept;

// where=: the last operand is the boolean mask. The kernel is called only on runs of selected
// elements.
void run_masked(const Kernel& kernel, const Nest& nest) noexcept;

// Reductions: operand 0 is the input, operand 1 the output with stride 0 along the reduced axes;
// the kernel's own dtypes. Outputs hold their initial values. Axes may come in any order.
void run_reduce(ReduceFn kernel, const Nest& nest) noexcept;
// argmin, argmax along one axis (`axis` of the nest, before any simplification); output int64,
// stride 0 along it.
void run_argreduce(ReduceFn kernel, const Nest& nest, int axis) noexcept;

}  // namespace raptors
