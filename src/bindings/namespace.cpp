#include "namespace.h"

namespace py = pybind11;

namespace raptors {
namespace {

// The package, which is the only module of this type, and its names.
PyObject *package, *names;

PyObject* namespace_type;
PyObject* numpy;  // the module
PyObject *submodule_names, *submodule_finder;

// The names first. The package has a __getattr__, as NumPy's has, for submodules and for names that
// are gone or deprecated, and that keeps the interpreter from specialising np.name: it would search
// the module's type before the names (20 to 30 ns more).
PyObject* get_name(PyObject* module, PyObject* name) {
    if (module == package) [[likely]] {
        PyObject* const found = PyDict_GetItemWithError(names, name);
        if (found) [[likely]] {
            Py_INCREF(found);
            return found;
        }
        if (PyErr_Occurred()) return nullptr;
    }
    return PyModule_Type.tp_getattro(module, name);
}

}  // namespace

void init_namespace() {
    PyType_Slot slots[] = {
        {Py_tp_getattro, reinterpret_cast<void*>(get_name)},
        {Py_tp_doc, const_cast<char*>("The module raptors: its names are looked up fast.")},
        {0, nullptr},
    };
    PyType_Spec spec = {"raptors._Namespace", 0, 0, Py_TPFLAGS_DEFAULT, slots};
    namespace_type = PyType_FromSpecWithBases(&spec, reinterpret_cast<PyObject*>(&PyModule_Type));
    if (!namespace_type) throw py::error_already_set();
    numpy = import_module("numpy").release().ptr();
}

void adopt_package(const py::object& module, const py::frozenset& submodules,
                   const py::object& find_submodule) {
    module.attr("__class__") = py::handle(namespace_type);
    package = py::object(module).release().ptr();  // these live as long as the process
    names = PyModule_GetDict(package);
    submodule_names = py::object(submodules).release().ptr();
    submodule_finder = py::object(find_submodule).release().ptr();
}

py::object find_name(const py::object& name) {
    if (py::handle(submodule_names).contains(name)) return py::handle(submodule_finder)(name);
    return py::handle(numpy).attr(name);
}

}  // namespace raptors
