// Products of several matrices, and those of numpy.linalg that are NumPy's own under another name.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(matrix_power_native);
RAPTORS_NATIVE(multi_dot_native);
RAPTORS_NATIVE(linalg_product_native);  // which: matmul or vecdot, a Contraction

}  // namespace raptors
