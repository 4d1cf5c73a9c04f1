// tensordot, outer and kron.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(tensordot_native);  // which 1: of linalg, whose axes have a name only
RAPTORS_NATIVE(outer_native);      // which 1: of linalg, vectors only
RAPTORS_NATIVE(kron_native);

}  // namespace raptors
