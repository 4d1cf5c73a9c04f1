// Comparisons of whole arrays. (What is made of several reductions is a row of reductions.def.)
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(array_equal_native);

}  // namespace raptors
