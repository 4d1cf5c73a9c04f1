// Elements by their indices: take, a[indices], a[indices] = values.
#pragma once
#include "array/index_key.h"

namespace raptors {

RAPTORS_NATIVE(take_native);
RAPTORS_NATIVE(put_native);
RAPTORS_NATIVE(along_axis_native);  // which 0: take_along_axis, 1: put_along_axis

// Declines an assignment.
inline int refuse_item(Why why) {
    declined = why;
    return 1;
}

// What part.indices select, in new memory. nullptr without an error: declined.
PyObject* selected(PyObject* self, const Selection& part);
// They become `value`, as set_item.
int put_selected(PyObject* self, const Selection& part, PyObject* value);

}  // namespace raptors
