#include "ops/composed.h"

#include <cmath>
#include <cstring>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/from_objects.h"
#include "frame/fp/fpstatus.h"
#include "frame/run/expression.h"
#include "numpy/fallback.h"
#include "ops/elementwise.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const round_signature = {2, 2, {"decimals", "out"}, {}};
Signature const close_signature = {4, 4, {"b", "rtol", "atol", "equal_nan"}, {}};

// ---- rounding
// Whole numbers rounded to whole numbers: a copy, in old versions of NumPy the array itself.
PyObject* round_whole(Entry* entry, PyObject* self) {
    static bool const copies = [] {
        auto const one = import_module("numpy").attr("ones")(1, "i8");
        return !one.attr("round")().is(one);
    }();
    if (copies) return copy_native(1, entry, self, nullptr, 0, nullptr);
    return is_ours(self) ? counted(entry, new_ref(self)) : decline(Why::type);
}

// A new array for the result, in the array's own order.
PyObject* rounded_like(const Fields* f, PyArray_Descr* descr) {
    constexpr int orders = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_F_CONTIGUOUS;
    bool const fortran = (f->flags & orders) == NPY_ARRAY_F_CONTIGUOUS;
    int perm[NPY_MAXDIMS];
    for (int d = 0; d < f->nd; ++d) perm[d] = fortran ? f->nd - 1 - d : d;
    return new_array_ordered(f->nd, f->dimensions, perm, descr);
}

// Elements of `from` scaled, rounded and scaled back into those of `to`, dtype t. False: declined,
// or an error is set.
bool scale_and_round(const Table& table, const Fields* from, const Fields* to, DType t,
                     npy_intp decimals, double power) {
    Element factor;
    if (!store_float(power, t, factor)) return refuse(Why::value);
    Nest nest;
    nest.ndim = from->nd;
    nest.operands = 2;
    const Fields* const both[] = {from, to};
    for (int i = 0; i < 2; ++i) {
        nest.data[i] = both[i]->data;
        for (int d = 0; d < from->nd; ++d) {
            nest.shape[d] = from->dimensions[d];
            nest.strides[i][d] = both[i]->strides[d];
        }
    }
    int const size = item_size(t);
    DType const own = dtype_of(from->descr);
    if (!apart(from, to) && overlaps(nest, 0, item_size(own), 1, size)) {
        declined = Why::overlap;
        return false;
    }
    Op const steps[] = {decimals > 0 ? Op::multiply : Op::divide, Op::rint,
                        decimals > 0 ? Op::divide : Op::multiply};
    Expression program;
    Expression::Value x = program.operand(0, item_size(own));
    if (own != t) x = program.cast(table.cast[index(own)][index(t)], x, size);
    auto const by = program.constant(factor, size);
    int const first = program.length();
    for (Op const step : steps) {
        Expression::Value const both_operands[] = {x, by};
        x = program.apply(kernel_of(table, step, t), both_operands);
    }
    program.store(x, 1);
    simplify(nest);
    int status[Expression::most_instructions + 1] = {};
    bool done = true;
    if (npy_intp const n = count(nest); n < long_from) {
        done = program.run(nest, unshared, status);
    } else {
        double cost = 0;
        for (Op const step : steps) cost += cost_of(step, t);
        run_long(n, cost, [&](Share share) { done = program.run(nest, share, status); });
    }
    if (!done) PyErr_NoMemory();
    for (int k = 0; done && k < 3; ++k) {
        const OpInfo& info = op_info[index(steps[k])];
        int const raised = info.reports(t) ? status[first + k] : 0;
        if (raised && report_fp_status(info.name, raised) < 0) return false;
    }
    return done;
}

// NumPy's PyArray_Round, step by step: scale, round, scale back.
PyObject* round_scaled(Entry* entry, PyObject* self, npy_intp decimals, PyObject* given) {
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
    constexpr npy_intp most = sizeof powers / sizeof *powers - 1;
    if (decimals > most || decimals < -most) return decline(Why::value);
    Fields* const f = fields(self);
    DType const own = dtype_of(f->descr);
    bool const whole = !is_floating(own);
    if (given && !is_writeable(fields(given))) return decline(Why::keyword);
    auto out = py::reinterpret_steal<py::object>(
        given ? new_ref(given) : rounded_like(f, whole ? descr_of(DType::float64) : f->descr));
    if (!out) return nullptr;
    if (!scale_and_round(*active().table, f, fields(out.ptr()), whole ? DType::float64 : own,
                         decimals, powers[decimals > 0 ? decimals : -decimals]))
        return nullptr;
    PyObject* const result =
        whole ? converted(out.ptr(), descr_of_num[f->descr->type_num], true) : out.release().ptr();
    return counted(entry, result);
}

// ---- closeness
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
        npy_intp const n = nest.shape[0] = size_of(like);
        int slot = 0;
        for (Side* const side : {&x, &y}) {
            if (!side->array) continue;
            side->slot = slot;
            nest.data[slot] = side->array->data;
            nest.strides[slot][0] = side->array->nd == 1 ? side->array->strides[0]
                                                         : size_of(dtype_of(side->array->descr));
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
                 [&](Share share) { done = program.run(nest, share); });
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

// NumPy multiplies by ten as often as there are decimals, for seconds in the end. It is at infinity
// long before that.
constexpr npy_intp most_decimals = 400;

PyObject* round_far(PyObject* self, npy_intp decimals, PyObject* out) {
    static PyObject* const function =
        py::object(import_module("numpy").attr("round")).release().ptr();
    static PyObject* const method =  // warns where it is called
        PyObject_GetAttrString(reinterpret_cast<PyObject*>(&PyArray_Type), "round");
    if (PyArray_Check(self) && !is_exact(self)) return decline(Why::type);
    auto const fewer = py::int_(decimals < 0 ? -most_decimals : most_decimals);
    PyObject* const args[] = {self, fewer.ptr(), out ? out : Py_None};
    return call_numpy(is_exact(self) ? method : function, args, 3, nullptr, true);
}

PyObject* round_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    npy_intp decimals = 0;
    if (!round_signature.parse(args, nargs, kwnames, slots) ||
        (slots[0] && !parse_integer(slots[0], &decimals)))
        return decline(Why::keyword);
    if (decimals != static_cast<int>(decimals)) return decline(Why::value);
    if (decimals > most_decimals || decimals < -most_decimals)
        return round_far(self, decimals, slots[1]);
    if (!is_exact(self)) return decline(Why::type);
    PyObject* const out = is_none(slots[1]) ? nullptr : slots[1];
    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr);
    if (!is_elementary(t) || t == DType::boolean) return decline(Why::dtype);
    if (!f->nd) return decline(Why::shape);
    if (out && (!is_exact(out) || !same_shape(f, fields(out)) || f->descr != fields(out)->descr ||
                !is_floating(t)))
        return decline(Why::keyword);
    if (!is_floating(t) && decimals >= 0) return round_whole(entry, self);
    if (decimals) return round_scaled(entry, self, decimals, out);
    ElementwiseOptions options{};
    options.out[0] = out;
    return counted(entry, out ? elementwise(Op::rint, &self, options) : unary(Op::rint, self));
}

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
    if (!like || !order || size_of(like) == 0) return decline(Why::shape);

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

}  // namespace raptors
