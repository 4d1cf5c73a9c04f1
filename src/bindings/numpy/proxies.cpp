#include "numpy/proxies.h"

#include <structmember.h>

#include <algorithm>
#include <string>
#include <unordered_map>

#include "api/table.h"
#include "creation/from_objects.h"
#include "linalg/product.h"
#include "numpy/fallback.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "ops/scan.h"

namespace py = pybind11;

namespace raptors {

PyTypeObject *ufunc_type, *function_type, *builtin_type;

namespace {

std::unordered_map<PyObject*, const Proxy*>* functions;  // by NumPy's object
PyObject *name_reduce, *name_reduce_ex, *name_call, *name_class, *name_wrapped, *reducer;

// ---- calling
// array(x) where x.__array__() gave one of ours: NumPy returned a whole view of it, the caller
// wants the array.
PyObject* without_whole_view(PyObject* o) {
    if (!o || !is_ours(o)) return o;
    Fields* f = fields(o);
    PyObject* base = f->base;
    if (!base || !is_ours(base) || Py_REFCNT(o) != 1) return o;
    Fields* b = fields(base);
    if (b->data == f->data && b->nd == f->nd && b->descr == f->descr &&
        b->flags == (f->flags | (b->flags & NPY_ARRAY_OWNDATA)) &&
        std::equal(f->dimensions, f->dimensions + f->nd, b->dimensions) &&
        std::equal(f->strides, f->strides + f->nd, b->strides)) {
        Py_INCREF(base);
        Py_DECREF(o);
        return base;
    }
    return o;
}

PyObject* own_ufunc(PyObject* made);

// like=, if it overrides the protocol: a library that makes an array of its own gets what it knows,
// base-class views, since NumPy's array(a, ndmax=0) fails for every subclass. nullptr: there is
// none.
PyObject* overriding_like(PyObject* const* values, PyObject* kwnames) {
    Py_ssize_t const n = kwnames ? PyTuple_GET_SIZE(kwnames) : 0;
    for (Py_ssize_t k = 0; k < n; ++k)
        if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, k), "like") == 0)
            return overrides_function(values[k]) ? values[k] : nullptr;
    return nullptr;
}

// Whether NumPy's dispatch looks at a first argument as at any other: an array with axes, a list or
// a tuple. Of others, where it expects one of these, it has errors of its own.
bool is_common(PyObject* first) {
    return is_sequence(first) || (PyArray_Check(first) && fields(first)->nd);
}

// Whether a call did not even begin: a TypeError without a frame of the function. Such an error is
// taken away, since NumPy's dispatch tells of a wrong call in words of its own.
bool took_wrong_call() {
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) return false;
#if PY_VERSION_HEX >= 0x030c0000
    PyObject* const error = PyErr_GetRaisedException();
    PyObject* const frames = PyException_GetTraceback(error);
    if (frames)
        PyErr_SetRaisedException(error);
    else
        Py_DECREF(error);
    Py_XDECREF(frames);
    return !frames;
#else
    PyObject *type, *error, *frames;
    PyErr_Fetch(&type, &error, &frames);
    if (frames) {
        PyErr_Restore(type, error, frames);
        return false;
    }
    Py_DECREF(type);
    Py_XDECREF(error);
    return true;
#endif
}

[[gnu::hot]] PyObject* function_call(PyObject* self, PyObject* const* args, size_t nargsf,
                                     PyObject* kwnames) {
    Proxy* p = proxy(self);
    Py_ssize_t const nargs = PyVectorcall_NARGS(nargsf);
    Py_ssize_t const total = nargs + (kwnames ? PyTuple_GET_SIZE(kwnames) : 0);
    declined = Why::borrowed;
    if (p->native) {
        PyObject* o = nullptr;
        if (!p->on_array)
            o = p->native(p->which, p->entry, nullptr, args, nargs, kwnames);
        else if (nargs)
            o = p->native(p->which, p->entry, args[0], args + 1, nargs - 1, kwnames);
        if (o || PyErr_Occurred()) return o;
    }
    if (p->view == ViewMode::original)
        return counted_numpy(p->entry, first_array(args, total),
                             [&] { return call_original(p->fn, args, nargs, kwnames); });
    PyObject* const like = overriding_like(args + nargs, kwnames);
    Arguments const given = look_at_arguments(args, total, like);
    bool const as_they_are = given.all_shown || given.overriding == Overriding::yes;
    PyObject* o = counted_numpy(p->entry, given.array, [&] {
        if (as_they_are) return call_original(p->fn, args, nargs, kwnames);
        bool const deep = like || p->view == ViewMode::deep;
        bool const past_dispatch =
            given.overriding == Overriding::no && !like && nargs && is_common(args[0]);
        PyObject* const fn = past_dispatch ? p->implementation : p->fn;
        PyObject* const out = call_numpy(fn, args, nargs, kwnames, deep);
        return out || fn == p->fn || !took_wrong_call()
                   ? out
                   : call_numpy(p->fn, args, nargs, kwnames, deep);
    });
    if (o && Py_IS_TYPE(o, &PyUFunc_Type) && Py_REFCNT(o) == 1) return own_ufunc(o);
    return p->view == ViewMode::top ? without_whole_view(o) : o;
}

// asarray(a), ascontiguousarray(a) ... of one of ours that is so: itself. Nothing runs, so nothing
// but the counter is touched.
PyObject* asarray_call(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
    constexpr int needed[] = {0, NPY_ARRAY_C_CONTIGUOUS, NPY_ARRAY_F_CONTIGUOUS};
    if (PyVectorcall_NARGS(nargsf) != 1 || kwnames || !is_ours(args[0]) || !active().table ||
        (fields(args[0])->flags & needed[proxy(self)->which]) != needed[proxy(self)->which])
        return function_call(self, args, nargsf, kwnames);
    Column const c = column_of(fields(args[0])->descr);
    ++proxy(self)->entry->native[index(c)][static_cast<int>(Layout::contiguous)];
    return new_ref(args[0]);
}

// NumPy's ufunc, or one of its methods, for arguments that our kernels declined.
PyObject* numpy_ufunc_call(PyObject* fn, PyObject* const* args, Py_ssize_t nargs,
                           PyObject* kwnames) {
    if (any_overrides_ufunc(args, nargs, kwnames)) return call_original(fn, args, nargs, kwnames);
    return call_numpy(fn, args, nargs, kwnames, kwnames != nullptr);  // deep for out=(a, b)
}

// Natively, or by NumPy's loop in our frame. nullptr without an error: declined.
PyObject* run_ufunc(Ufunc& ufunc, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    declined = Why::dtype;
    if (ufunc.elementwise) return call_elementwise(ufunc, args, nargs, kwnames);
    return ufunc.native ? ufunc.native(0, ufunc.entry, nullptr, args, nargs, kwnames) : nullptr;
}

PyObject* ufunc_call(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
    Proxy* p = proxy(self);
    Py_ssize_t const nargs = PyVectorcall_NARGS(nargsf);
    declined = Why::dtype;
    if (p->ufunc) {
        PyObject* o = run_ufunc(*p->ufunc, args, nargs, kwnames);
        if (o || PyErr_Occurred()) return o;
    }
    return counted_numpy(p->entry, first_array(args, nargs),
                         [&] { return numpy_ufunc_call(p->fn, args, nargs, kwnames); });
}

const char* const method_names[] = {"reduce", "accumulate", "reduceat", "outer", "at"};

template <int which>
PyObject* ufunc_method(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
    Proxy* p = proxy(self);
    declined = Why::borrowed;
    if (which == 0 && nargs) {
        if (refuses_ufunc_reduce(p->fn, args + 1, nargs - 1, kwnames)) return nullptr;
        if (p->ufunc && p->ufunc->reduction < n_combines) {
            PyObject* o =
                ufunc_reduce_native(p->ufunc->reduction, args[0], args + 1, nargs - 1, kwnames);
            if (o || PyErr_Occurred()) return o;
        }
    }
    if (which == 1 && nargs && p->ufunc) {
        PyObject* o = ufunc_accumulate(*p->ufunc, args, nargs, kwnames);
        if (o || PyErr_Occurred()) return o;
    }
    if (which == 3 && p->ufunc) {
        PyObject* o = outer(*p->ufunc, args, nargs, kwnames);
        if (o || PyErr_Occurred()) return o;
    }
    if (which == 2 && p->ufunc) {
        PyObject* o = ufunc_reduceat(*p->ufunc, args, nargs, kwnames);
        if (o || PyErr_Occurred()) return o;
    }
    if (which == 4 && p->ufunc) {
        PyObject* o = ufunc_at(*p->ufunc, args, nargs, kwnames);
        if (o || PyErr_Occurred()) return o;
    }
    static PyObject* const name = PyUnicode_InternFromString(method_names[which]);
    return counted_numpy(p->entry, first_array(args, nargs), [&]() -> PyObject* {
        if (!any_overrides_ufunc(args, nargs, kwnames))
            return call_numpy_method(p->fn, name, args, nargs, kwnames);
        PyObject* const bound = PyObject_GetAttr(p->fn, name);
        if (!bound) return nullptr;
        PyObject* const o = call_original(bound, args, nargs, kwnames);
        Py_DECREF(bound);
        return o;
    });
}

// ---- looking like the wrapped object
PyObject* proxy_reduce(PyObject* self, PyObject*) {
    return PyObject_CallFunctionObjArgs(reducer, wrapped(self), proxy(self)->path, nullptr);
}
// Functions are atoms.
PyObject* proxy_copy(PyObject* self, PyObject*) { return new_ref(self); }

PyObject* proxy_getattro(PyObject* self, PyObject* name) {
    if (name == name_reduce || name == name_reduce_ex || name == name_call)
        return PyObject_GenericGetAttr(self, name);
    // The class of Python's functions is not claimed: cloudpickle would pickle NumPy's function by
    // value. What inspects functions gets to NumPy's by the usual way for a wrapper.
    if (Py_IS_TYPE(wrapped(self), &PyFunction_Type)) {
        if (name == name_class) return new_ref(reinterpret_cast<PyObject*>(Py_TYPE(self)));
        if (name == name_wrapped) return new_ref(wrapped(self));
    }
    if (Py_TYPE(self) == ufunc_type) {
        PyObject* found = _PyType_Lookup(ufunc_type, name);
        if (found && Py_TYPE(found) == &PyMethodDescr_Type)
            return PyObject_GenericGetAttr(self, name);
    }
    return PyObject_GetAttr(wrapped(self), name);
}
int proxy_setattro(PyObject* self, PyObject* name, PyObject* value) {
    return value ? PyObject_SetAttr(wrapped(self), name, value)
                 : PyObject_DelAttr(wrapped(self), name);
}
PyObject* proxy_repr(PyObject* self) { return PyObject_Repr(wrapped(self)); }
Py_hash_t proxy_hash(PyObject* self) { return PyObject_Hash(wrapped(self)); }
PyObject* proxy_compare(PyObject* a, PyObject* b, int comparison) {
    if (comparison != Py_EQ && comparison != Py_NE) Py_RETURN_NOTIMPLEMENTED;
    PyObject* other = is_proxy(b) ? wrapped(b) : b;
    return PyBool_FromLong((wrapped(a) == other) == (comparison == Py_EQ));
}
PyObject* function_get(PyObject* self, PyObject* instance, PyObject*) {
    if (is_none(instance)) return new_ref(self);
    return PyMethod_New(self, instance);
}
// A ufunc that frompyfunc made may be part of a cycle through the function that it calls.
int proxy_traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(proxy(self)->fn);
    Py_VISIT(proxy(self)->implementation);
    return 0;
}
void proxy_dealloc(PyObject* self) {
    PyTypeObject* t = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (auto it = functions->find(wrapped(self));
        it != functions->end() && it->second == proxy(self))
        functions->erase(it);
    Py_XDECREF(proxy(self)->fn);
    Py_XDECREF(proxy(self)->implementation);
    Py_XDECREF(proxy(self)->path);
    PyObject_GC_Del(self);
    Py_DECREF(t);
}

template <class F>
PyCFunction fast(F f) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(f));
}
constexpr int fast_flags = METH_FASTCALL | METH_KEYWORDS;
PyMethodDef ufunc_methods[] = {
    {"reduce", fast(ufunc_method<0>), fast_flags, nullptr},
    {"accumulate", fast(ufunc_method<1>), fast_flags, nullptr},
    {"reduceat", fast(ufunc_method<2>), fast_flags, nullptr},
    {"outer", fast(ufunc_method<3>), fast_flags, nullptr},
    {"at", fast(ufunc_method<4>), fast_flags, nullptr},
    {"__reduce__", proxy_reduce, METH_NOARGS, nullptr},
    {"__reduce_ex__", proxy_reduce, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyMethodDef function_methods[] = {
    {"__reduce__", proxy_reduce, METH_NOARGS, nullptr},
    {"__reduce_ex__", proxy_reduce, METH_O, nullptr},
    {"__copy__", proxy_copy, METH_NOARGS, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
// What raptors adds to the text of a function with a row: its dtypes, and how close it is.
std::string facts_of(const char* doc, uint32_t types, const std::string& accuracy) {
    std::string text = "\n\nIn raptors: " + std::string(doc) + "\nKernels for";
    for (int t = 0; t < n_dtypes; ++t)
        if (types >> t & 1U) text += std::string(" ") + dtype_info[t].name;
    return text + "; " + accuracy +
           " Long calls use several threads; results do not depend on how many.\n";
}

std::string facts_of(const OpInfo& info) {
    uint32_t complex_types = 0;
    for (int t = 0; t < n_dtypes; ++t)
        complex_types |= static_cast<uint32_t>(is_complex(static_cast<DType>(t))) << t;
    if (info.accuracy.exact()) {
        bool const all = !(info.types & complex_types);
        return facts_of(info.doc, info.types,
                        all ? "the bits are NumPy's." : "of real numbers the bits are NumPy's.");
    }
    char bounds[80];
    std::snprintf(bounds, sizeof bounds, "within %g ULP in float32, %g in float64.",
                  info.accuracy.ulp32, info.accuracy.ulp64);
    return facts_of(info.doc, info.types, bounds);
}

std::string facts_of(const ReductionInfo& info) {
    return facts_of(info.doc, info.types,
                    info.exact ? "the results are NumPy's."
                               : "the error is within the bound of pairwise summation.");
}

// pydoc asks past proxy_getattro, so that help() tells more than __doc__, which is NumPy's.
PyObject* get_doc(PyObject* self, void*) {
    PyObject* const doc = PyObject_GetAttrString(wrapped(self), "__doc__");
    const Proxy* const p = proxy(self);
    if (!doc || !PyUnicode_Check(doc)) return doc;
    std::string facts;
    if (p->ufunc && p->ufunc->op != Op::count)
        facts = facts_of(op_info[index(p->ufunc->op)]);
    else if (p->native == reduce_native)
        facts = facts_of(reduction_info[p->which & ~as_function]);
    else
        return doc;
    auto const own = py::reinterpret_steal<py::object>(doc);
    auto const inspect = py::reinterpret_steal<py::object>(PyImport_ImportModule("inspect"));
    if (!inspect) return nullptr;
    auto const plain =
        py::reinterpret_steal<py::object>(PyObject_CallMethod(inspect.ptr(), "cleandoc", "O", doc));
    return plain ? PyUnicode_FromFormat("%U%s", plain.ptr(), facts.c_str()) : nullptr;
}
PyGetSetDef getset[] = {
    {"__doc__", get_doc, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyMemberDef members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Proxy, vectorcall), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

PyTypeObject* make_proxy_type(const char* name, PyMethodDef* methods, bool binds) {
    PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void*>(proxy_dealloc)},
        {Py_tp_traverse, reinterpret_cast<void*>(proxy_traverse)},
        {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
        {Py_tp_members, members},
        {Py_tp_getset, getset},
        {Py_tp_getattro, reinterpret_cast<void*>(proxy_getattro)},
        {Py_tp_setattro, reinterpret_cast<void*>(proxy_setattro)},
        {Py_tp_repr, reinterpret_cast<void*>(proxy_repr)},
        {Py_tp_hash, reinterpret_cast<void*>(proxy_hash)},
        {Py_tp_richcompare, reinterpret_cast<void*>(proxy_compare)},
        {Py_tp_methods, methods},
        {binds ? Py_tp_descr_get : 0, reinterpret_cast<void*>(function_get)},
        {0, nullptr},
    };
    PyType_Spec spec = {
        name, sizeof(Proxy), 0,
        static_cast<unsigned>(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL |
                              Py_TPFLAGS_DISALLOW_INSTANTIATION |
                              (binds ? Py_TPFLAGS_METHOD_DESCRIPTOR : 0)),
        slots};
    PyObject* t = PyType_FromSpec(&spec);
    if (!t) throw py::error_already_set();
    // Where pickles find it: raptors.ufunc is NumPy's.
    py::handle(t).attr("__module__") = "raptors._raptors_core";
    auto* const type = reinterpret_cast<PyTypeObject*>(t);
    // Python remembers where it found a method only if the method's type cannot change.
    if (binds) type->tp_flags |= Py_TPFLAGS_IMMUTABLETYPE;
    return type;
}

py::object make_proxy(PyTypeObject* type, const py::object& fn, const std::string& path,
                      Entry* entry, ViewMode view) {
    Proxy* p = PyObject_GC_New(Proxy, type);
    if (!p) throw py::error_already_set();
    p->fn = py::object(fn).release().ptr();
    p->implementation = py::getattr(fn, "_implementation", fn).release().ptr();
    p->path = py::str(path).release().ptr();
    p->entry = entry;
    p->native = nullptr;
    p->which = 0;
    p->view = view;
    p->on_array = false;
    p->ufunc = nullptr;
    p->vectorcall = type == ufunc_type ? ufunc_call : function_call;
    PyObject_GC_Track(reinterpret_cast<PyObject*>(p));
    return py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(p));
}

// A ufunc that frompyfunc made: its results become ours, too. Steals `made`.
PyObject* own_ufunc(PyObject* made) {
    try {
        auto const fn = py::reinterpret_steal<py::object>(made);
        return make_proxy(ufunc_type, fn, "", new_entry("frompyfunc"), ViewMode::deep)
            .release()
            .ptr();
    } catch (py::error_already_set& error) {
        error.restore();
        return nullptr;
    }
}

}  // namespace

const Proxy* find_function(PyObject* numpy_function) {
    auto const it = functions->find(numpy_function);
    return it == functions->end() ? nullptr : it->second;
}

PyObject* call_ufunc(PyObject* numpy_ufunc, PyObject* const* args, Py_ssize_t nargs,
                     PyObject* kwnames) {
    Ufunc* const ufunc = find_ufunc(numpy_ufunc);
    if (ufunc) {
        PyObject* o = run_ufunc(*ufunc, args, nargs, kwnames);
        if (o || PyErr_Occurred()) return o;
    }
    auto call = [&] { return call_numpy(numpy_ufunc, args, nargs, kwnames, true); };
    return ufunc ? counted_numpy(ufunc->entry, first_array(args, nargs), call) : call();
}

void init_proxies() {
    functions = new std::unordered_map<PyObject*, const Proxy*>;
    name_reduce = PyUnicode_InternFromString("__reduce__");
    name_reduce_ex = PyUnicode_InternFromString("__reduce_ex__");
    name_call = PyUnicode_InternFromString("__call__");
    name_class = PyUnicode_InternFromString("__class__");
    name_wrapped = PyUnicode_InternFromString("__wrapped__");
    ufunc_type = make_proxy_type("raptors.ufunc", ufunc_methods, false);
    builtin_type = make_proxy_type("raptors.builtin_function", function_methods, false);
    function_type = make_proxy_type("raptors.function", function_methods, true);

    py::object const numpy = import_module("numpy");
    for (const UfuncRow& row : product_ufuncs)
        if (py::hasattr(numpy, row.name))  // newer than NumPy 2.0, some of them
            register_ufunc(py::object(numpy.attr(row.name)).ptr()).native = row.native;
}

py::object wrap(const py::object& fn, const std::string& path, bool binds) {
    const NameRow& row = name_row(path);
    if (PyObject_TypeCheck(fn.ptr(), &PyUFunc_Type)) {
        Ufunc& ufunc = register_ufunc(fn.ptr());
        bool const loops = !row.reason && ufunc.elementwise && ufunc.op == Op::count;
        Entry* const entry = new_entry(ufunc.name, loops ? text_of(Why::loop) : row.reason);
        py::object o = make_proxy(ufunc_type, fn, path, entry, row.view);
        proxy(o.ptr())->ufunc = &ufunc;
        return o;
    }
    Entry* const entry = new_entry(path.c_str() + path.find('.') + 1, row.reason);
    py::object o = make_proxy(binds ? function_type : builtin_type, fn, path, entry, row.view);
    if (row.native) {
        Proxy* const p = proxy(o.ptr());
        p->native = row.native;
        p->which = row.which;
        p->on_array = row.on_array;
        if (row.native == asarray_native) p->vectorcall = asarray_call;
        (*functions)[fn.ptr()] = p;
    }
    return o;
}

py::object unwrap(const py::object& o) {
    return is_proxy(o.ptr()) ? py::reinterpret_borrow<py::object>(wrapped(o.ptr())) : o;
}

bool is_native(const py::object& o) {
    if (!is_proxy(o.ptr())) return false;
    const Proxy* const p = proxy(o.ptr());
    return p->native || (p->ufunc && (p->ufunc->native || p->ufunc->op != Op::count));
}

void bind_reducer(const py::object& function) { reducer = py::object(function).release().ptr(); }

}  // namespace raptors
