// NumPy's dispatch has to find our protocols, or numpy.add(x, y) would not come to our kernels. It
// looks them up on the type, through PyObject_GetOptionalAttr, as getattr(type(x), name, default)
// in a program does. But a program that compares the type's with numpy.ndarray's expects to find
// that one, as it does for NumPy's arrays. So who asks is told apart:
// 1. NumPy's dispatch: ours.
// 2. numpy.ndarray.__array_ufunc__, which a subclass of numpy.ndarray calls through super():
// NumPy's
//    default. It refuses where an input overrides the protocol, and the subclass would not expect
//    that of an array.
// 3. Anybody else: NumPy's default.
// 2 and 3 happen only while Python code runs that names the protocol itself, which costs little to
// see. There the return addresses on the C stack decide: NumPy's library asks, or another one; and
// the places in numpy.ndarray.__array_ufunc__ are observed once.
#include "array/protocols.h"

#include "numpy/fallback.h"
#include "python/call_stack.h"

namespace raptors {
namespace {

#if PY_VERSION_HEX < 0x030c0000
// How _PyInterpreterFrame of CPython 3.11 begins.
struct InterpreterFrame {
    PyObject *func, *globals, *builtins, *locals, *code;
};
PyObject* running_code() {
    auto* const frame =
        reinterpret_cast<InterpreterFrame*>(PyThreadState_Get()->cframe->current_frame);
    return frame ? new_ref(frame->code) : nullptr;
}
#define RAPTORS_CODE_EXTRA(what) _Py##what
#else
PyObject* running_code() {
    PyThreadState* const state = PyThreadState_Get();
#if PY_VERSION_HEX < 0x030d0000
    _PyInterpreterFrame* const frame = state->cframe->current_frame;
#else
    _PyInterpreterFrame* const frame = state->current_frame;
#endif
    return frame ? PyUnstable_InterpreterFrame_GetCode(frame) : nullptr;
}
#define RAPTORS_CODE_EXTRA(what) PyUnstable_##what
#endif

// What a code object names, kept in its extra slot.
enum Named : uintptr_t { looked_at = 1, ufunc_protocol = 2, function_protocol = 4 };

uintptr_t named_in(PyObject* names) {
    uintptr_t found = 0;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); ++i) {  // they are interned
        if (PyTuple_GET_ITEM(names, i) == protocols.name_ufunc) found |= ufunc_protocol;
        if (PyTuple_GET_ITEM(names, i) == protocols.name_function) found |= function_protocol;
    }
    return found;
}

uintptr_t named_in_code(PyObject* code) {
#if PY_VERSION_HEX < 0x030c0000
    static Py_ssize_t const slot = _PyEval_RequestCodeExtraIndex(nullptr);
#else
    static Py_ssize_t const slot = PyUnstable_Eval_RequestCodeExtraIndex(nullptr);
#endif
    void* extra = nullptr;
    if (slot >= 0) RAPTORS_CODE_EXTRA(Code_GetExtra)(code, slot, &extra);
    if (extra) [[likely]]
        return reinterpret_cast<uintptr_t>(extra);
    auto* const c = reinterpret_cast<PyCodeObject*>(code);
    uintptr_t const found = looked_at | named_in(c->co_names) | named_in(c->co_consts);
    if (slot >= 0 &&
        RAPTORS_CODE_EXTRA(Code_SetExtra)(code, slot, reinterpret_cast<void*>(found)) < 0)
        PyErr_Clear();
    return found;
}

bool is_named_by_running_code(PyObject* name) {
    PyObject* const code = running_code();
    bool const named =
        code && PyCode_Check(code) &&
        named_in_code(code) & (name == protocols.name_ufunc ? ufunc_protocol : function_protocol);
    Py_XDECREF(code);
    return named;
}

#if defined(RAPTORS_WALKS_THE_STACK)
// The default looks for overrides among the inputs, in out= and in where=; these may be different
// places of its code.
constexpr int n_refusals = 3;

struct {
    bool observing;
    int first;                   // NumPy's first frame, where NumPy asks
    void* numpy;                 // its library
    void* refusals[n_refusals];  // where numpy.ndarray.__array_ufunc__ asks
    int n;                       // of them; 0: nobody can be told apart
} stack;

// NumPy's last frame in a row from stack.first on; -1: it is not NumPy that asks.
int last_of_numpy(const Callers& chain) {
    int i = stack.first;
    while (i < chain.n && library_of(chain.at[i]) == stack.numpy) ++i;
    return i == stack.first ? -1 : i - 1;
}

// Called by a look-up that observe() brings about.
void note() {
    stack.observing = false;
    Callers const chain = callers(Callers::longest);
    stack.first = 0;
    while (stack.first < chain.n && library_of(chain.at[stack.first]) != stack.numpy) ++stack.first;
    int const last = last_of_numpy(chain);
    if (last >= 0 && last + 1 < chain.n) stack.refusals[stack.n++] = chain.at[last];
}

void observe() {
    namespace py = pybind11;
    stack.numpy = library_of(reinterpret_cast<void*>(PyArray_Type.tp_repr));
    if (!stack.numpy) return;
    try {
        py::object const ours = py::reinterpret_steal<py::object>(
            PyArray_NewFromDescr(array_type, PyArray_DescrFromType(NPY_DOUBLE), 0, nullptr, nullptr,
                                 nullptr, 0, nullptr));
        if (!ours) throw py::error_already_set();
        py::object const add = import_module("numpy").attr("add"), zero = py::int_(0);
        py::tuple const inputs[n_refusals] = {py::make_tuple(ours, add, "", ours),
                                              py::make_tuple(ours, add, "", zero),
                                              py::make_tuple(ours, add, "", zero)};
        py::dict keywords[n_refusals];
        keywords[1]["out"] = py::make_tuple(ours);
        keywords[2]["where"] = ours;
        for (int i = 0; i < n_refusals; ++i) {
            stack.observing = true;
            // The default looks for overrides first, and only then for the method "".
            Py_XDECREF(PyObject_Call(protocols.numpy_ufunc, inputs[i].ptr(), keywords[i].ptr()));
            PyErr_Clear();
        }
    } catch (py::error_already_set&) {
        stack.n = 0;
    }
    stack.observing = false;
}

bool asked_by_dispatch() {
    static bool const once = (observe(), true);
    if (!once || !stack.n) return true;
    Callers const chain = callers(Callers::longest);
    int const last = last_of_numpy(chain);
    if (last < 0) return false;
    for (int i = 0; i < stack.n; ++i)
        if (chain.at[last] == stack.refusals[i]) return false;
    return true;
}

bool noted() {
    if (!stack.observing) [[likely]]
        return false;
    note();
    return true;
}
#else
bool asked_by_dispatch() { return true; }
bool noted() { return false; }
#endif

}  // namespace

bool finds_default(PyObject* name) {
    if (noted()) return true;
    return is_named_by_running_code(name) && !asked_by_dispatch();
}

}  // namespace raptors
