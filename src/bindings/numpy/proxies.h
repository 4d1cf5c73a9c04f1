// Callables: one type for all ufuncs and
// two for functions that stand for NumPy's. Everything but calling and pickling is the wrapped
// object's: docs, signatures, __class__.
#pragma once
#include "numpy/registry.h"
#include "ops/ufunc.h"

namespace raptors {

struct Proxy {
    PyObject_HEAD;
    vectorcallfunc vectorcall;
    PyObject* fn;              // NumPy's
    PyObject* implementation;  // what fn calls where no argument overrides it: fn itself, or
                               // without NumPy's dispatch
    PyObject* path;            // "raptors.linalg.norm": where pickle finds it
    Entry* entry;
    Native native;
    int which;  // what `native` is told
    ViewMode view;
    bool on_array;  // native takes the first argument as `self`
    Ufunc* ufunc;   // nullptr: none of NumPy's namespace
};

extern PyTypeObject* ufunc_type;     // stands for numpy.ufunc
extern PyTypeObject* function_type;  // binds like a Python function
extern PyTypeObject* builtin_type;   // does not bind, like a builtin

inline bool is_proxy(PyObject* o) {
    PyTypeObject* t = Py_TYPE(o);
    return t == function_type || t == ufunc_type || t == builtin_type;
}
inline Proxy* proxy(PyObject* o) { return reinterpret_cast<Proxy*>(o); }
inline PyObject* wrapped(PyObject* o) { return proxy(o)->fn; }

// The proxy made for a NumPy function; nullptr if there is none.
const Proxy* find_function(PyObject* numpy_function);

// A ufunc's method called on arrays that override nothing: natively where possible.
PyObject* call_ufunc(PyObject* numpy_ufunc, PyObject* const* args, Py_ssize_t nargs,
                     PyObject* kwnames);

void init_proxies();

// The object that stands for a NumPy function or ufunc. path: "raptors.name", by which its row is
// found; binds: whether it becomes a method in a class, as Python functions do.
pybind11::object wrap(const pybind11::object& fn, const std::string& path, bool binds);
pybind11::object unwrap(const pybind11::object& o);  // NumPy's; anything else as it is
bool is_native(const pybind11::object& o);
// What gives __reduce_ex__ for a proxy, asked with NumPy's function and the path.
void bind_reducer(const pybind11::object& function);

}  // namespace raptors
