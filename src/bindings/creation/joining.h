// concatenate and its relatives.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(concatenate_native);
RAPTORS_NATIVE(stack_native);
RAPTORS_NATIVE(stack_axis_native);  // which 0: vstack, 1: hstack
RAPTORS_NATIVE(deep_stack_native);  // which 0: column_stack, 1: dstack
RAPTORS_NATIVE(append_native);

// Exact arrays of one shape along a new first axis: what array() makes of a list of them. Declines
// where stack() does.
PyObject* stacked(Entry* entry, PyObject* const* arrays, Py_ssize_t n);

}  // namespace raptors
