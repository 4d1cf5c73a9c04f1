// Elements by their indices along an axis, by one thread or several.
#pragma once
#include "api/table.h"
#include "frame/threads/work_split.h"

namespace raptors {

// What is taken along an axis: the block's rows and pointers are those of the nest. `others`: the
// axes that are not indexed, simplified; of the array, then of the values. `elements`: what the
// grain counts, of the values. Nothing is empty. False: an index is out of range, and the values
// may be partly written.
[[nodiscard]] bool take(const Table& table, const IndexBlock& along, const Nest& others,
                        ptrdiff_t elements, WorkSplit split) noexcept;
// What is put there, by the calling thread, in the order of the indices. False: an index is out of
// range, and nothing is written.
[[nodiscard]] bool put(const Table& table, const IndexBlock& along, const Nest& others) noexcept;

}  // namespace raptors
