// raptors.ndarray: a C-level subclass of numpy.ndarray with its own slots, methods and metaclass.
#pragma once
#include "python/pybind.h"

namespace raptors {

void init_array_type();

// "pickled": the function that unpickles.
void bind_hooks(const pybind11::dict& hooks);

}  // namespace raptors
