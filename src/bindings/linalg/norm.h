// Products as functions, and norms.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(dot_native);  // which: a Contraction
RAPTORS_NATIVE(norm_native);

}  // namespace raptors
