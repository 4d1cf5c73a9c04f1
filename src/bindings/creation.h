// Arrays from nothing: empty, zeros, ones.
#pragma once
#include "call.h"

namespace raptors {

RAPTORS_NATIVE(empty_native);
RAPTORS_NATIVE(zeros_native);
RAPTORS_NATIVE(ones_native);

}  // namespace raptors
