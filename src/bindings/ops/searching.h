// Where elements are: nonzero, flatnonzero, argwhere.
#pragma once
#include "python/signature.h"

namespace raptors {

enum class Places { nonzero, flat, rows };  // nonzero, flatnonzero, argwhere

RAPTORS_NATIVE(nonzero_native);  // which: a Places

}  // namespace raptors
