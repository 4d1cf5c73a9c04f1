// An operand with a single reference is not yet a temporary: C code may call PyNumber_Add(x, y)
// with the only reference to x in its own hands, and use x afterwards. The interpreter itself drops
// the operands of BINARY_OP right after the call. So the reference must be the interpreter's, which
// holds if
// 1. the instruction that the current Python frame executes is BINARY_OP, and
// 2. the interpreter's loop called this slot for it: the return addresses on the C stack, from this
//    module up to the loop, are those of a plain operator.
// Anything between (a compiled type's slot, even one that ends in a tail call of PyNumber_Add,
// functools.partial as an __add__) makes the chain longer or another one. Not told apart: a slot
// that ends in a jump straight into another type's slot, with an array that it alone holds.
// What the chains of plain operators look like is observed once, on a type that does nothing else.
// PyNumber_Negative and PyNumber_Invert jump into the slot and leave no trace of their own: unary
// operators are left alone. NumPy's own elision asks less: that no other library is on the stack.
// CPython 3.11 to 3.13 push an own reference for every operand. Since 3.14 they may be borrowed
// from local variables, and there is a function that knows.
#include "array/temporaries.h"

#include "python/call_stack.h"

#if PY_VERSION_HEX < 0x030e0000 && defined(RAPTORS_WALKS_THE_STACK)
#include <dlfcn.h>

#include <cstring>
#include <vector>
#endif

namespace raptors {

TemporaryStats temporary_stats;

namespace {

#if PY_VERSION_HEX >= 0x030e0000
bool held_by_interpreter(PyObject* o) { return PyUnstable_Object_IsUniqueReferencedTemporary(o); }
#elif defined(RAPTORS_WALKS_THE_STACK)

// ---- 1. the instruction
// The number of BINARY_OP in co_code, which shows it without specialisation.
bool is_operator(unsigned char opcode) {
    static int const number = [] {
        namespace py = pybind11;
        try {
            return import_module("opcode").attr("opmap")["BINARY_OP"].cast<int>();
        } catch (py::error_already_set&) {
            return -1;
        }
    }();
    return opcode == number;
}

bool runs_operator() {
    PyFrameObject* const frame = PyEval_GetFrame();  // borrowed
    if (!frame) return false;
    int const at = PyFrame_GetLasti(frame);
    PyCodeObject* const code = PyFrame_GetCode(frame);
    PyObject* const bytes = PyCode_GetCode(code);  // made once per code object
    Py_DECREF(code);
    if (!bytes) {
        PyErr_Clear();
        return false;
    }
    bool const found = at >= 0 && at < PyBytes_GET_SIZE(bytes) &&
                       is_operator(static_cast<unsigned char>(PyBytes_AS_STRING(bytes)[at]));
    Py_DECREF(bytes);
    return found;
}

// ---- 2. the C stack
constexpr int longest_chain = 4;

std::vector<Callers>* operators;  // the chains of plain operators, up to the loop

// Called as an operator: notes the way here, if it ends in the loop.
void observe() {
    static void* const loop = dlsym(RTLD_DEFAULT, "_PyEval_EvalFrameDefault");
    Callers chain = callers(longest_chain);
    for (int k = 0; loop && k < chain.n; ++k) {
        Dl_info info;
        if (!dladdr(chain.at[k], &info) || info.dli_saddr != loop) continue;
        chain.n = k + 1;
        if (k > 0) operators->push_back(chain);  // else nothing tells who called
        return;
    }
}
PyObject* observe_binary(PyObject*, PyObject*) {
    observe();
    Py_RETURN_NONE;
}
PyObject* observe_power(PyObject*, PyObject*, PyObject*) {
    observe();
    Py_RETURN_NONE;
}

void observe_operators() {
    operators = new std::vector<Callers>;
    auto const binary = reinterpret_cast<void*>(observe_binary);
    PyType_Slot slots[] = {
        {Py_nb_add, binary},
        {Py_nb_subtract, binary},
        {Py_nb_multiply, binary},
        {Py_nb_true_divide, binary},
        {Py_nb_lshift, binary},
        {Py_nb_rshift, binary},
        {Py_nb_and, binary},
        {Py_nb_or, binary},
        {Py_nb_xor, binary},
        {Py_nb_power, reinterpret_cast<void*>(observe_power)},
        {0, nullptr},
    };
    PyType_Spec spec = {"raptors._Operand", sizeof(PyObject), 0, Py_TPFLAGS_DEFAULT, slots};
    namespace py = pybind11;
    try {
        auto const type = py::reinterpret_steal<py::object>(PyType_FromSpec(&spec));
        if (!type) throw py::error_already_set();
        py::dict names;
        names["p"] = type();
        names["x"] = py::none();
        for (const char* text : {"p + x", "x + p",  "p - x",  "x - p",  "p * x",  "x * p", "p / x",
                                 "x / p", "p << x", "x << p", "p >> x", "x >> p", "p & x", "x & p",
                                 "p | x", "x | p",  "p ^ x",  "x ^ p",  "p ** x", "x ** p"})
            if (!py::reinterpret_steal<py::object>(
                    PyRun_String(text, Py_eval_input, names.ptr(), names.ptr())))
                throw py::error_already_set();
    } catch (py::error_already_set&) {
        operators->clear();  // then nothing is ever a temporary
    }
}

bool called_by_loop() {
    if (!operators) observe_operators();
    Callers const chain = callers(longest_chain);
    for (const Callers& known : *operators)
        if (known.n <= chain.n &&
            std::memcmp(known.at, chain.at, static_cast<size_t>(known.n) * sizeof(void*)) == 0)
            return true;
    return false;
}

bool held_by_interpreter(PyObject*) { return runs_operator() && called_by_loop(); }
#else
bool held_by_interpreter(PyObject*) { return false; }
#endif

}  // namespace

bool is_temporary(PyObject* o) {
    if (!is_ours(o) || Py_REFCNT(o) != 1) return false;
    Fields const* f = fields(o);
    constexpr int wanted = NPY_ARRAY_OWNDATA | NPY_ARRAY_WRITEABLE;
    constexpr int unwanted = NPY_ARRAY_WRITEBACKIFCOPY | warn_on_write;
    if ((f->flags & (wanted | unwanted)) != wanted || f->base || f->weakreflist || f->_buffer_info)
        return false;
    bool const proved = held_by_interpreter(o);
    ++(proved ? temporary_stats.reused : temporary_stats.refused);
    return proved;
}

}  // namespace raptors
