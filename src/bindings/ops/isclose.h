// Functions that NumPy composes of several elementwise operations.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(round_native);
RAPTORS_NATIVE(close_native);  // which 0: isclose, 1: allclose

}  // namespace raptors
