// raptors.ndarray: a C-level subclass of numpy.ndarray with its own slots, methods and metaclass.
#pragma once
#include "python/pybind.h"

namespace raptors {

void init_array_type();

}  // namespace raptors
