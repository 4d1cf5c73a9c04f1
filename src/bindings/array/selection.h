// Elements by their indices: take.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(take_native);

}  // namespace raptors
