#include "ops/isclose.h"

#include <cmath>

#include "api/table.h"
#include "array/free_lists.h"
#include "array/masked.h"
#include "array/views.h"
#include "creation/copying.h"
#include "creation/from_shape.h"
#include "frame/fp/fpstatus.h"
#include "frame/run/expression.h"
#include "ops/elementwise.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const close_signature = {4, 4, {"b", "rtol", "atol", "equal_nan"}, {}};

// An operand of isclose: an array that is one run of memory, or a number.
struct Side {
    Fields* array = nullptr;  // nullptr:
    Element number;           // in the loop's dtype
    int slot = 0;             // of the nest
};

struct Closeness {
    const Table& table;
    DType t;  // of the loop
    Side x, y;
    Element rtol, atol;
    bool tolerance_known;  // y is a finite number: atol is the whole tolerance
    bool equal_nan;
    static constexpr ptrdiff_t least_decided = 1024;  // elements that are judged at once

    // The steps of NumPy's isclose.
    Expression::Value judge(Expression& program) const {
        using Value = Expression::Value;
        int const size = item_size(t);
        auto const read = [&](const Side& side) {
            if (!side.array) return program.constant(side.number, size);
            DType const own = dtype_of(side.array->descr);
            Value const x_own = program.operand(side.slot, item_size(own));
            return own == t ? x_own : program.cast(table.cast[index(own)][index(t)], x_own, size);
        };
        auto const apply = [&](Op op, DType dtype, Value l, Value r = {}) {
            Value const both[] = {l, r};
            return program.apply(kernel_of(table, op, dtype), both);
        };
        auto const flags = [&](Op op, Value l, Value r) { return apply(op, DType::boolean, l, r); };
        Value const a = read(x), b = read(y), absolute_tolerance = program.constant(atol, size);
        Value const distance = apply(Op::absolute, t, apply(Op::subtract, t, a, b));
        Value close;
        if (tolerance_known) {
            close = apply(Op::less_equal, t, distance, absolute_tolerance);
        } else {
            Value const relative =
                apply(Op::multiply, t, program.constant(rtol, size), apply(Op::absolute, t, b));
            Value const tolerance = apply(Op::add, t, absolute_tolerance, relative);
            close = apply(Op::less_equal, t, distance, tolerance);
            close = flags(Op::bitwise_and, close, apply(Op::isfinite, t, b));
        }
        close = flags(Op::bitwise_or, close, apply(Op::equal, t, a, b));
        if (!equal_nan || tolerance_known) return close;
        Value const nans = flags(Op::bitwise_and, apply(Op::isnan, t, a), apply(Op::isnan, t, b));
        return flags(Op::bitwise_or, close, nans);
    }

    // Its constants in the order in which judge() makes them.
    void set_constants(Expression& program) const {
        int next = 0;
        for (const Side* side : {&x, &y})
            if (!side->array) program.set_constant(next++, side->number);
        program.set_constant(next++, atol);
        if (!tolerance_known) program.set_constant(next, rtol);
    }

    // The program that stores, or reduces; those of the last calls are kept.
    Expression& program_for(bool stores) const {
        struct Kept {
            const Table* table = nullptr;
            uint64_t key;
            Expression program;
        };
        static Kept kept[16];
        auto const code = [](const Side& side) -> uint64_t {
            return side.array ? index(dtype_of(side.array->descr)) + 1 : 0;
        };
        uint64_t const key = index(t) | code(x) << 8 | code(y) << 16 |
                             uint64_t{tolerance_known} << 24 | uint64_t{equal_nan} << 25 |
                             uint64_t{stores} << 26;
        Kept& own = kept[(key ^ key >> 8 ^ key >> 16 ^ key >> 23) % 16];
        if (own.table != &table || own.key != key) {
            own.program = Expression();
            Expression::Value const close = judge(own.program);
            if (stores)
                own.program.store(close, 1);
            else
                own.program.reduce(table.reduce[index(Combine::logical_and)][index(DType::boolean)],
                                   close, least_decided, true);
            own.program.prepare();
            own.table = &table;
            own.key = key;
        }
        set_constants(own.program);
        return own.program;
    }

    // Over operands of `like`'s shape: into `to`, or, if that is nullptr, into *all, no further
    // than to the first piece that decides. False: out of memory.
    bool run(const Fields* like, char* to, char* all) {
        Nest nest;
        nest.ndim = 1;
        nest.operands = 2;
        npy_intp const n = nest.shape[0] = count_of(like);
        int slot = 0;
        for (Side* const side : {&x, &y}) {
            if (!side->array) continue;
            side->slot = slot;
            nest.data[slot] = side->array->data;
            nest.strides[slot][0] = side->array->nd == 1 ? side->array->strides[0]
                                                         : item_size(dtype_of(side->array->descr));
            slot = 2;
        }
        nest.operands = slot && x.array && y.array ? 3 : 2;
        nest.data[1] = to ? to : all;
        nest.strides[1][0] = to ? 1 : 0;
        Expression& kept = program_for(to != nullptr);
        if (n < long_from) return kept.run(nest);
        bool done = true;
        Expression program = kept;  // without the GIL
        run_long(n, program.length() * cost_of(Op::subtract, t),
                 [&](WorkSplit split) { done = program.run(nest, split); });
        return done;
    }
};

bool is_number(PyObject* x) { return PyFloat_CheckExact(x) || PyLong_CheckExact(x); }

// A tolerance, or `otherwise` where none is given. False: NumPy judges.
bool parse_tolerance(PyObject* x, double otherwise, double* value) {
    *value = otherwise;
    if (!x) return true;
    npy_intp whole;
    if (PyFloat_CheckExact(x))
        *value = PyFloat_AS_DOUBLE(x);
    else if (parse_integer(x, &whole) && whole >= -(1LL << 53) && whole <= 1LL << 53)
        *value = static_cast<double>(whole);
    else
        return false;
    return std::isfinite(*value);
}

}  // namespace

PyObject* close_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                       Py_ssize_t nargs, PyObject* kwnames) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    double rtol, atol;
    bool equal_nan;
    if (!close_signature.parse(args, nargs, kwnames, slots) || !slots[0] ||
        !parse_tolerance(slots[1], 1e-5, &rtol) || !parse_tolerance(slots[2], 1e-8, &atol) ||
        !parse_flag(slots[3], &equal_nan))
        return decline(Why::keyword);

    // Arrays of one shape that are one run of memory, or one of them and a number.
    PyObject* const given[] = {self, slots[0]};
    Fields* like = nullptr;
    int order = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_F_CONTIGUOUS;
    for (PyObject* o : given) {
        if (is_number(o)) continue;
        if (!is_exact(o)) return decline(Why::type);
        Fields* const f = fields(o);
        if (!is_elementary(dtype_of(f->descr))) return decline(Why::dtype);
        if ((like && !same_shape(like, f)) || f->nd == 0) return decline(Why::shape);
        like = f;
        if (f->nd > 1) order &= f->flags;
    }
    if (!like || !order || count_of(like) == 0) return decline(Why::shape);

    // NumPy makes y a float; the tolerance then has y's dtype, and everything else that of x - y.
    bool const x_number = is_number(given[0]), y_number = is_number(given[1]);
    DType const x_t = x_number ? no_dtype : dtype_of(fields(given[0])->descr);
    DType const y_t = y_number ? no_dtype : dtype_of(fields(given[1])->descr);
    DType const of_like = dtype_of(like->descr);
    DType const t = !y_number && is_floating(y_t)      ? y_t
                    : y_number && is_floating(of_like) ? of_like
                                                       : DType::float64;
    if (!x_number && t != DType::float64 && x_t != t) return decline(Why::dtype);

    Closeness work{*act.table, t, {}, {}, {}, {}, y_number, equal_nan};
    Side* const sides[] = {&work.x, &work.y};
    double tolerance = atol;
    for (int i = 0; i < 2; ++i) {
        if (!is_number(given[i]))
            sides[i]->array = fields(given[i]);
        else if (!scalar_element(given[i], t, sides[i]->number))
            return decline(Why::value);
    }
    if (y_number) {
        double const y = PyFloat_CheckExact(given[1])
                             ? PyFloat_AS_DOUBLE(given[1])
                             : static_cast<double>(PyLong_AsLongLong(given[1]));
        if (!std::isfinite(y)) return decline(Why::value);
        tolerance = atol + rtol * std::fabs(y);
    }
    if (!store_float(rtol, t, work.rtol) || !store_float(tolerance, t, work.atol))
        return decline(Why::value);

    py::object result;
    char* to = nullptr;
    if (which == 0) {
        int perm[NPY_MAXDIMS];
        bool const fortran = like->nd > 1 && !(order & NPY_ARRAY_C_CONTIGUOUS);
        for (int d = 0; d < like->nd; ++d) perm[d] = fortran ? like->nd - 1 - d : d;
        result = py::reinterpret_steal<py::object>(
            new_array_ordered(like->nd, like->dimensions, perm, descr_of(DType::boolean)));
        if (!result) return nullptr;
        to = fields(result.ptr())->data;
    }
    clear_fp_status();
    char all = 1;
    if (!work.run(like, to, &all)) return PyErr_NoMemory();
    // NumPy ignores invalid values here; of everything else it tells.
    int const status = fp_status();
    clear_fp_status();
    if (status & ~NPY_FPE_INVALID) return decline(Why::value);
    count_native(entry, t, layout_of(like), like->nd, like->dimensions);
    if (which == 1) return PyBool_FromLong(all != 0);
    Fields const* const r = fields(result.ptr());  // NumPy's `result[()]` is a view
    return new_view(result.ptr(), r->nd, r->dimensions, r->strides, r->data, r->descr);
}

PyObject* is_real_native(int which, Entry* entry, PyObject* self, PyObject* const*,
                         Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_exact(self) || nargs || kwnames) return decline(Why::keyword);
    Fields const* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (t == no_dtype) return decline(Why::dtype);
    if (!f->nd || !(f->flags & NPY_ARRAY_C_CONTIGUOUS)) return decline(Why::shape);
    bool const asks_real = which == 0;
    if (is_complex(t)) {
        auto const part = py::reinterpret_steal<py::object>(imaginary_part(self));
        if (!part) return nullptr;
        return counted(
            entry, binary(asks_real ? Op::equal : Op::not_equal, part.ptr(), py::int_(0).ptr()));
    }
    char const answer = asks_real;
    auto const all = py::reinterpret_steal<py::object>(
        filled(new_array(f->nd, f->dimensions, descr_of(DType::boolean)), &answer));
    if (!all) return nullptr;
    Fields const* const r = fields(all.ptr());
    count_native(entry, t, layout_of(f), f->nd, f->dimensions);
    if (asks_real) return new_ref(all.ptr());
    return new_view(all.ptr(), r->nd, r->dimensions, r->strides, r->data, r->descr);  // result[()]
}

PyObject* asarray_chkfinite_native(int, Entry* entry, PyObject* self, PyObject* const*,
                                   Py_ssize_t nargs, PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    if (!is_ours(self) || nargs || kwnames) return decline(Why::keyword);
    Fields const* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (t == no_dtype) return decline(Why::dtype);
    if (is_inexact(t)) {
        auto const finite = py::reinterpret_steal<py::object>(unary(Op::isfinite, self));
        if (!finite) return nullptr;
        // NumPy raises.
        if (count_true(fields(finite.ptr())) != count_of(f)) return decline(Why::value);
    }
    return counted(entry, new_ref(self));
}

}  // namespace raptors
