// Functions and methods of elements that are no ufuncs: clip, where, conjugate.
#include "api/table.h"
#include "ops/elementwise.h"
#include "ops/searching.h"
#include "python/operand.h"

namespace raptors {
namespace {

Signature clip_method_signature = {3, 3, {"min", "max", "out"}, {}};
Signature clip_signature = {5, 3, {"a_min", "a_max", "out", "min", "max"}, {}};
Signature clip_signature_2_0 = {3, 3, {"a_min", "a_max", "out"}, {}};

// Whether x is a Python int beyond or at a limit of the integers of dtype t, the lowest or the
// highest: no element is, so NumPy takes it for no bound, before it promotes.
bool bounds_nothing(PyObject* x, DType t, bool lowest) {
    if (is_none(x)) return true;
    if (!PyLong_CheckExact(x) || is_inexact(t) || t == DType::boolean) return false;
    int const bits = 8 * item_size(t);
    bool const is_signed = dtype_info[index(t)].kind == 'I';
    int overflow = 0;
    long long const v = PyLong_AsLongLongAndOverflow(x, &overflow);
    if (lowest) return overflow ? overflow < 0 : v <= (is_signed ? -1LL << (bits - 1) : 0);
    if (is_signed || bits < 64) {
        long long const highest =
            static_cast<long long>(~0ULL >> (64 - bits + static_cast<int>(is_signed)));
        return overflow ? overflow > 0 : v >= highest;
    }
    if (overflow <= 0) return false;
    unsigned long long const u = PyLong_AsUnsignedLongLong(x);
    PyErr_Clear();  // more than that: all bits are set, too
    return u == ~0ULL;
}

}  // namespace

PyObject* clip_native(int which, Entry*, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                      PyObject* kwnames) {
    if (!is_exact(self)) return decline(Why::type);
    PyObject* slots[max_parameters];
    slots[3] = slots[4] = nullptr;
    bool const has_min = PyArray_RUNTIME_VERSION >= NPY_2_1_API_VERSION;
    Signature const& signature = which == 0 ? clip_method_signature
                                 : has_min  ? clip_signature
                                            : clip_signature_2_0;
    if (!signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
    PyObject* const low = slots[0] ? slots[0] : slots[3];
    PyObject* const high = slots[1] ? slots[1] : slots[4];
    if ((slots[0] && slots[3]) || (slots[1] && slots[4])) return decline(Why::keyword);
    if (!has_min && is_none(low) && is_none(high)) return decline(Why::keyword);  // an error there
    // The function wants both positional bounds, or the keywords min and max.
    if (which == 1 && (!slots[0] != !slots[1] || (!slots[0] && !slots[3] && !slots[4])))
        return decline(Why::keyword);
    DType const t = dtype_of(fields(self)->descr);
    if (t == no_dtype) return decline(Why::dtype);
    bool const no_low = bounds_nothing(low, t, true), no_high = bounds_nothing(high, t, false);
    ElementwiseOptions options{};
    options.out[0] = is_none(slots[2]) ? nullptr : slots[2];
    PyObject* const inputs[3] = {self, no_low ? high : low, high};
    return elementwise(no_low && no_high ? Op::positive
                       : no_low          ? Op::minimum
                       : no_high         ? Op::maximum
                                         : Op::clip,
                       inputs, options);
}

PyObject* conjugate_native(int, Entry* entry, PyObject* self, PyObject* const*, Py_ssize_t nargs,
                           PyObject* kwnames) {
    if (nargs || kwnames) return decline(Why::keyword);
    if (!is_ours(self)) return decline(Why::type);
    DType const t = dtype_of(fields(self)->descr);
    if (t == no_dtype) return decline(Why::dtype);
    if (is_complex(t)) return elementwise(*operator_ufuncs.conjugate, &self, {});
    return active().table ? counted(entry, new_ref(self)) : decline(Why::disabled);
}

PyObject* where_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
    if (kwnames) return decline(Why::keyword);
    if (nargs == 1)
        return nonzero_native(static_cast<int>(Places::nonzero), entry, args[0], args + 1, 0,
                              nullptr);
    return nargs == 3 ? elementwise(Op::where, args, {}) : decline(Why::keyword);
}

}  // namespace raptors
