// The parameters of a function, found in a call: vectorcall arguments -> slots of a signature.
#pragma once
#include "python/arguments.h"
#include "runtime/call_log.h"

namespace raptors {

constexpr int max_parameters = 8;

// Names of the parameters after the array (or of all of them, where there is none), in NumPy's
// order.
struct Signature {
    int n;
    int positional;  // how many may be given by position
    const char* names[max_parameters];
    mutable PyObject* interned[max_parameters];  // the names, made when first needed
    // slots[i]: borrowed value or nullptr. False: something that only NumPy can judge (unknown,
    // repeated, too many).
    bool parse(PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames, PyObject** slots) const {
        for (int i = 0; i < n; ++i) slots[i] = nullptr;
        if (nargs > positional) return false;
        for (Py_ssize_t i = 0; i < nargs; ++i) slots[i] = args[i];
        if (!kwnames) return true;
        if (!interned[0]) [[unlikely]]
            for (int i = 0; i < n; ++i) interned[i] = PyUnicode_InternFromString(names[i]);
        Py_ssize_t const nkw = PyTuple_GET_SIZE(kwnames);
        for (Py_ssize_t k = 0; k < nkw; ++k) {
            PyObject* name = PyTuple_GET_ITEM(kwnames, k);
            int i = 0;
            while (i < n && interned[i] != name) ++i;
            if (i == n) {  // not interned by the caller
                i = 0;
                while (i < n && PyUnicode_CompareWithASCIIString(name, names[i]) != 0) ++i;
            }
            if (i == n || slots[i]) return false;
            slots[i] = args[nargs + k];
        }
        return true;
    }
};

// Native code behind a function or method: `self` is the array that it works on (a function's first
// argument; nullptr for functions that make arrays), the others follow. Returns nullptr without an
// error to decline (see decline()).
using Native = PyObject* (*)(int which, Entry* entry, PyObject* self, PyObject* const* args,
                             Py_ssize_t nargs, PyObject* kwnames);

#define RAPTORS_NATIVE(name)                                                       \
    PyObject* name(int which, Entry* entry, PyObject* self, PyObject* const* args, \
                   Py_ssize_t nargs, PyObject* kwnames)

}  // namespace raptors
