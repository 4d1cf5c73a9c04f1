// Elements by their indices along an axis, by one thread or several.
#pragma once
#include "api/table.h"
#include "frame/threads/work_split.h"

namespace raptors {

// What is taken along an axis: the block's rows and pointers are those of the nest. `others`: the
// axes that are not indexed, simplified; of the array, then of the result. `elements`: what the
// grain counts, of the result. Nothing is empty. False: an index is out of range, and the result
// may be partly written.
[[nodiscard]] bool take(const Table& table, const TakeBlock& along, const Nest& others,
                        ptrdiff_t elements, WorkSplit split) noexcept;

}  // namespace raptors
