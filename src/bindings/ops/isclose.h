// Whether elements are close to one another, and whether they are real or finite.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(close_native);  // which 0: isclose, 1: allclose
RAPTORS_NATIVE(asarray_chkfinite_native);
RAPTORS_NATIVE(is_real_native);  // which 0: isreal, 1: iscomplex

}  // namespace raptors
