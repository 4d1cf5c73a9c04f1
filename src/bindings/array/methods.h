// Methods and attributes of raptors.ndarray.
#pragma once
#include "python/pybind.h"

namespace raptors {

extern PyMethodDef array_methods[];
extern PyGetSetDef array_getset[];
void init_methods();

// "pickled": the function that unpickles.
void bind_hooks(const pybind11::dict& hooks);

}  // namespace raptors
