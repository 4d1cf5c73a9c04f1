// Inverses, solutions and determinants of stacks of small matrices.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(inv_native);
RAPTORS_NATIVE(solve_native);
RAPTORS_NATIVE(det_native);

}  // namespace raptors
