#include "ops/rounding.h"

#include "api/table.h"
#include "creation/copying.h"
#include "creation/from_objects.h"
#include "frame/fp/fpstatus.h"
#include "frame/nest/overlap.h"
#include "frame/run/expression.h"
#include "numpy/fallback.h"
#include "ops/elementwise.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const round_signature = {2, 2, {"decimals", "out"}, {}};

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
    if (!disjoint(from, to) && overlaps(nest, 0, item_size(own), 1, size)) {
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
        done = program.run(nest, unsplit, status);
    } else {
        double cost = 0;
        for (Op const step : steps) cost += cost_of(step, t);
        run_long(n, cost, [&](WorkSplit split) { done = program.run(nest, split, status); });
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
        whole ? converted(out.ptr(), descr_of_num[f->descr->type_num], Order::keep)
              : out.release().ptr();
    return counted(entry, result);
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

}  // namespace raptors
