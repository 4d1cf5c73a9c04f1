// Arrays from other objects: array, asarray, copy, astype, fill.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(asarray_native);  // which 1: ascontiguousarray, 2: asfortranarray
RAPTORS_NATIVE(copy_native);     // which 0: the method (order='C'), 1: the function (order='K')
RAPTORS_NATIVE(astype_native);
RAPTORS_NATIVE(fill_native);

RAPTORS_NATIVE(array_native);
RAPTORS_NATIVE(frombuffer_native);
RAPTORS_NATIVE(fromiter_native);

}  // namespace raptors
