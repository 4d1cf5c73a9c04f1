// What the thin subclasses of raptors/_classes.py do themselves: NumPy's methods are Python code,
// and every slice, every field runs them.
#pragma once
#include "python/pybind.h"

namespace raptors {

// Methods of the classes that stand for numpy.memmap and numpy.recarray, by name.
pybind11::dict memmap_methods();
pybind11::dict recarray_methods();
// The data of a masked array, as a view of the class that it had.
pybind11::object masked_data();

}  // namespace raptors
