// Elements as they are, whatever they mean, over any layout.
#pragma once
#include "api/table.h"
#include "frame/nest/loop_nest.h"
#include "frame/threads/work_split.h"

namespace raptors {

// Copies elements of `size` bytes: operand 0 to operand 1 of a simplified nest.
void move(const Table& table, const Nest& nest, ptrdiff_t size, WorkSplit split = unsplit) noexcept;
// Where operand 2, booleans, is true. No other element is written to.
void move_masked(const Table& table, const Nest& nest, ptrdiff_t size) noexcept;

}  // namespace raptors
