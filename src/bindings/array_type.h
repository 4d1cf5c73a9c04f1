// raptors.ndarray: a C-level subclass of numpy.ndarray with its own slots, methods and metaclass.
#pragma once
#include "pybind.h"

namespace raptors {

void register_array_type(pybind11::module_& m);

}  // namespace raptors
