// Rounding to decimals.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(round_native);

}  // namespace raptors
