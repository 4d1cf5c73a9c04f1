#include "numpy/module_type.h"

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
    return ask(py::reinterpret_borrow<py::object>(numpy),
               py::reinterpret_borrow<py::object>(package), name);
}

py::object ask(const py::object& source, const py::object& own, const py::object& name) {
    PyObject* const found = PyObject_GetAttr(source.ptr(), name.ptr());
    if (found) return py::reinterpret_steal<py::object>(found);
    py::error_already_set error;
    if (!error.matches(PyExc_AttributeError)) throw error;
    auto const subject = [](const py::object& module) {
        return "module " + py::repr(module.attr("__name__")).cast<std::string>() + " ";
    };
    auto text = py::str(error.value()).cast<std::string>();
    std::string const theirs = subject(source);
    if (text.starts_with(theirs)) text.replace(0, theirs.size(), subject(own));
    // Of names that are gone NumPy tells all: without a name the interpreter suggests no others.
    auto const told = error.value().attr("name");
    auto const ours = py::handle(PyExc_AttributeError)(
        text, py::arg("name") = told, py::arg("obj") = told.is_none() ? py::none() : own);
    PyErr_SetObject(PyExc_AttributeError, ours.ptr());
    throw py::error_already_set();
}

py::object ask_and_translate(const py::object& source, const py::object& own,
                             const py::object& translate, const py::object& name) {
    return translate(own.attr("__name__"), name, ask(source, own, name));
}

}  // namespace raptors
