// Elements of several arrays, by what another one says: choose, select.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(choose_native);
RAPTORS_NATIVE(select_native);

}  // namespace raptors
