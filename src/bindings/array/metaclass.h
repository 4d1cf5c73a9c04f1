// The class of raptors.ndarray: what isinstance, issubclass, ==, the order of bases and look-ups on
// the type answer.
#pragma once
#include "python/pybind.h"

namespace raptors {

PyTypeObject* make_metaclass();  // after array_type

}  // namespace raptors
