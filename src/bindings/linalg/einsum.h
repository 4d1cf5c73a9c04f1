// einsum: labelled axes to one product, or to a path of them.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(einsum_native);

}  // namespace raptors
