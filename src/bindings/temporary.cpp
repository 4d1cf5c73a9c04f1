// An operand with a single reference is not yet a temporary: C code may call PyNumber_Add(x, y)
// with the only reference to x in its own hands, and use x afterwards. The interpreter itself drops
// the operands of BINARY_OP and of the unary operators right after the call. So the reference must
// be the interpreter's, which holds if
// 1. the instruction that the current Python frame executes is one of those operators, and
// 2. between the interpreter's loop and this module there is nothing on the C stack but PyNumber_*:
// no method of
//    another type, no functools.partial in an __add__, no compiled module.
// CPython 3.11 to 3.13 push an own reference for every operand. Since 3.14 they may be borrowed
// from local variables, and there is a function that knows.
#include "temporary.h"

#if PY_VERSION_HEX < 0x030e0000
#include <dlfcn.h>
#if __has_include(<execinfo.h>)
#include <execinfo.h>
#define RAPTORS_WALKS_THE_STACK
#endif
#endif

namespace raptors {

TemporaryStats temporary_stats;

namespace {

#if PY_VERSION_HEX >= 0x030e0000
bool held_by_interpreter(PyObject* o) { return PyUnstable_Object_IsUniqueReferencedTemporary(o); }
#elif defined(RAPTORS_WALKS_THE_STACK)

// ---- 1. the instruction
// Numbers of the operators in co_code, which shows them without specialisation.
bool is_operator(unsigned char opcode) {
    static bool known[256];
    static bool const filled = [] {
        namespace py = pybind11;
        try {
            py::dict const numbers = py::module_::import("opcode").attr("opmap");
            for (const char* name : {"BINARY_OP", "UNARY_NEGATIVE", "UNARY_INVERT"})
                if (numbers.contains(name)) known[numbers[name].cast<int>() & 255] = true;
        } catch (py::error_already_set&) {
            return false;
        }
        return true;
    }();
    return filled && known[opcode];
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
enum class Place : unsigned char { unknown, here, loop, elsewhere };

Place look_up(void* address) {
    static void* const base = [] {
        Dl_info own;
        return dladdr(reinterpret_cast<void*>(&look_up), &own) ? own.dli_fbase : nullptr;
    }();
    static void* const loop = dlsym(RTLD_DEFAULT, "_PyEval_EvalFrameDefault");
    Dl_info info;
    if (!base || !loop || !dladdr(address, &info)) return Place::elsewhere;
    return info.dli_fbase == base   ? Place::here
           : info.dli_saddr == loop ? Place::loop
                                    : Place::elsewhere;
}

// dladdr reads the whole symbol table; return addresses are few. Guarded by the GIL.
Place place_of(void* address) {
    constexpr size_t slots = 256;
    static struct {
        void* address;
        Place place;
    } seen[slots];
    auto& slot = seen[(reinterpret_cast<uintptr_t>(address) >> 2) % slots];
    if (slot.address != address) slot = {address, look_up(address)};
    return slot.place;
}

bool called_by_loop() {
    // This module's own frames, then PyNumber_Add and what it is made of (one function more at
    // most; a call through functools or a type's method takes at least three), then the loop.
    constexpr int most_own = 8, most_between = 2;
    void* frames[most_own + most_between + 1];
    int const n = backtrace(frames, most_own + most_between + 1);
    int i = 0;
    while (i < n && place_of(frames[i]) == Place::here) ++i;
    for (int between = 0; i < n && between <= most_between; ++i, ++between)
        if (place_of(frames[i]) == Place::loop) return true;
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
