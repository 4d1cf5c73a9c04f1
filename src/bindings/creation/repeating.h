// repeat, tile, resize and roll: the elements of an array again, or in another place.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(repeat_native);
RAPTORS_NATIVE(tile_native);
RAPTORS_NATIVE(resize_native);
RAPTORS_NATIVE(roll_native);

}  // namespace raptors
