// What whole arrays come to in several steps. (What is made of several reductions is a row of
// reductions.def.)
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(array_equal_native);
RAPTORS_NATIVE(trace_native);  // which 1: of the last two axes (linalg.trace)

}  // namespace raptors
