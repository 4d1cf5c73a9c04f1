// Whether elements are close to one another.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(close_native);  // which 0: isclose, 1: allclose

}  // namespace raptors
