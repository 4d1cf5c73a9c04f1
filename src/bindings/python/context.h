// Settings that a context may choose for itself.
#pragma once
#include "python/pybind.h"

namespace raptors {

// A number: what the context chose, else the process's. A context variable is asked only once some
// context has chosen.
class ContextNumber {
public:
    void make(const char* name) {
        variable_ = PyContextVar_New(name, nullptr);
        if (!variable_) throw pybind11::error_already_set();
    }
    bool chosen() const { return chosen_; }
    long get(long otherwise) const {
        if (!chosen_) [[likely]]
            return otherwise;
        PyObject* value = nullptr;
        if (PyContextVar_Get(variable_, nullptr, &value) < 0) PyErr_Clear();
        if (!value) return otherwise;
        otherwise = PyLong_AsLong(value);
        Py_DECREF(value);
        return otherwise;
    }
    // A token, for leave().
    pybind11::object enter(long value) {
        pybind11::int_ const number(value);
        PyObject* const token = PyContextVar_Set(variable_, number.ptr());
        if (!token) throw pybind11::error_already_set();
        chosen_ = true;
        return pybind11::reinterpret_steal<pybind11::object>(token);
    }
    void leave(const pybind11::object& token) {
        if (PyContextVar_Reset(variable_, token.ptr()) < 0) throw pybind11::error_already_set();
    }

private:
    PyObject* variable_ = nullptr;
    bool chosen_ = false;
};

}  // namespace raptors
