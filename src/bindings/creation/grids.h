// Arrays around others: grids of their values, and of indices, and what is padded.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(meshgrid_native);
RAPTORS_NATIVE(indices_native);
RAPTORS_NATIVE(pad_native);  // by a constant

}  // namespace raptors
