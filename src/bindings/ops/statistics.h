// What is made of several reductions.
#pragma once
#include "python/signature.h"

namespace raptors {

// var and std. which: these bits.
constexpr int variance_root = 1, variance_function = 2;  // std; the function, not the method
RAPTORS_NATIVE(variance_native);
RAPTORS_NATIVE(ptp_native);
RAPTORS_NATIVE(array_equal_native);

}  // namespace raptors
