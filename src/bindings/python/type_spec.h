// Types made in C.
#pragma once
#include "python/pybind.h"

namespace raptors {

template <class F>
void* slot_pointer(F f) {
    return reinterpret_cast<void*>(f);
}
// A row of PyType_Slot.
#define RAPTORS_SLOT(id, f) {Py_##id, slot_pointer(f)}

inline PyTypeObject* make_type(PyType_Spec& spec, PyObject* base) {
    PyObject* t = PyType_FromSpecWithBases(&spec, base);
    if (!t) throw pybind11::error_already_set();
    return reinterpret_cast<PyTypeObject*>(t);
}

}  // namespace raptors
