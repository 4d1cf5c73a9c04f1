// Sorting and searching. Elements that lie in rows are sorted by NumPy's kernels, those of the
// dtype's table of functions; of other layouts NumPy's C functions are called, without a view and
// without parsing anything twice. Both are counted as NumPy's. Searching has kernels of our own.
#pragma once
#include "python/signature.h"

namespace raptors {

// Which: the function, which works on a copy, and not the method, which works in the array itself.
constexpr int on_copy = 1;

RAPTORS_NATIVE(sort_native);       // which: 0 or on_copy
RAPTORS_NATIVE(partition_native);  // which: 0 or on_copy
RAPTORS_NATIVE(argsort_native);
RAPTORS_NATIVE(argpartition_native);
RAPTORS_NATIVE(searchsorted_native);

}  // namespace raptors
