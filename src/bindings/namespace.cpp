#include "namespace.h"

namespace py = pybind11;

namespace raptors {
namespace {

// The package, which is the only module of this type, and its names.
PyObject *package, *names;

// The names first. The package has a __getattr__, as NumPy's has, for names that are gone or
// deprecated, and that keeps the interpreter from specialising np.name: it would search the
// module's type before the names (20 to 30 ns more).
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

void register_namespace(py::module_& m) {
    PyType_Slot slots[] = {
        {Py_tp_getattro, reinterpret_cast<void*>(get_name)},
        {Py_tp_doc, const_cast<char*>("The module raptors: its names are looked up fast.")},
        {0, nullptr},
    };
    PyType_Spec spec = {"raptors._Namespace", 0, 0, Py_TPFLAGS_DEFAULT, slots};
    PyObject* type = PyType_FromSpecWithBases(&spec, reinterpret_cast<PyObject*>(&PyModule_Type));
    if (!type) throw py::error_already_set();
    m.def("_adopt_package",
          [kind = py::reinterpret_steal<py::object>(type)](const py::module_& module) {
              module.attr("__class__") = kind;
              package = py::module_(module).release().ptr();  // lives as long as the process
              names = PyModule_GetDict(package);
          });
    // NumPy's word on a name that it does not have. Asked from C, so that its warnings point at the
    // caller.
    m.def("_ask_numpy", [numpy = py::module_::import("numpy")](const py::object& name) {
        return py::object(numpy.attr(name));
    });
}

}  // namespace raptors
