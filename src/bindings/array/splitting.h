// An array in parts: split and its relatives, unstack.
#pragma once
#include "python/signature.h"

namespace raptors {

enum class Split { array_split, split, rows, columns, depth };  // vsplit, hsplit, dsplit

RAPTORS_NATIVE(split_native);  // which: a Split
RAPTORS_NATIVE(unstack_native);

}  // namespace raptors
