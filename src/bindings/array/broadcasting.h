// Views that repeat elements along axes, or add axes so that they are repeated: broadcast_to,
// broadcast_arrays, ix_.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(broadcast_to_native);
RAPTORS_NATIVE(broadcast_arrays_native);
RAPTORS_NATIVE(ix_native);

}  // namespace raptors
