// Linear interpolation between samples.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(interp_native);

}  // namespace raptors
