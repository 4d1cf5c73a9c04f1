#include "ops/composed.h"

#include <cmath>
#include <cstring>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/from_objects.h"
#include "frame/fp/fpstatus.h"
#include "numpy/fallback.h"
#include "ops/elementwise.h"
#include "python/operand.h"

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

// NumPy's PyArray_Round, step by step: scale, round, scale back.
PyObject* round_scaled(Entry* entry, PyObject* self, npy_intp decimals, PyObject* given) {
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
    constexpr npy_intp most = sizeof powers / sizeof *powers - 1;
    if (decimals > most || decimals < -most) return decline(Why::value);
    Fields* const f = fields(self);
    DType const t = dtype_of(f->descr);
    bool const whole = !is_floating(t), up = decimals > 0;
    auto const factor =
        py::reinterpret_steal<py::object>(PyFloat_FromDouble(powers[up ? decimals : -decimals]));
    if (!factor) return nullptr;
    py::object out;
    if (given) {
        out = py::reinterpret_borrow<py::object>(given);
    } else {
        constexpr int orders = NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_F_CONTIGUOUS;
        bool const fortran = (f->flags & orders) == NPY_ARRAY_F_CONTIGUOUS;
        int perm[NPY_MAXDIMS];
        for (int d = 0; d < f->nd; ++d) perm[d] = fortran ? f->nd - 1 - d : d;
        out = py::reinterpret_steal<py::object>(new_array_ordered(
            f->nd, f->dimensions, perm, whole ? descr_of(DType::float64) : f->descr));
        if (!out) return nullptr;
    }
    ElementwiseOptions into{};
    into.out[0] = out.ptr();
    auto step = [&](Op op, PyObject* x) {
        PyObject* const inputs[] = {x, factor.ptr()};
        return py::reinterpret_steal<py::object>(elementwise(op, inputs, into));
    };
    if (!step(up ? Op::multiply : Op::divide, self) || !step(Op::rint, out.ptr()) ||
        !step(up ? Op::divide : Op::multiply, out.ptr()))
        return nullptr;
    PyObject* const result =
        whole ? converted(out.ptr(), descr_of_num[f->descr->type_num], true) : out.release().ptr();
    return counted(entry, result);
}

// ---- closeness
// An operand of isclose as the kernels read it, a piece at a time.
constexpr npy_intp piece = 512;  // elements
struct Side {
    char* data;
    npy_intp step;  // bytes; 0: a scalar
    KernelFn cast;  // to the dtype of the loop; nullptr: none
    char* read(char* buffer, npy_intp from, npy_intp n, npy_intp size, npy_intp* inner) const {
        char* const first = data + from * step;
        *inner = cast ? size : step;
        if (!cast) return first;
        Block block{};
        block.data[0] = first;
        block.data[1] = buffer;
        block.inner[0] = step;
        block.inner[1] = size;
        block.n = n;
        block.rows = 1;
        cast(block, nullptr);
        return buffer;
    }
};

struct Closeness {
    const Table& table;
    DType t;  // of the loop: float32 or float64
    Side x, y;
    alignas(8) char rtol[8], atol[8];
    bool tolerance_known;  // y is a finite number: atol is the whole tolerance
    bool equal_nan;

    void call(Op op, DType dtype, char* l, npy_intp l_step, char* r, npy_intp r_step, char* out,
              npy_intp out_step, npy_intp n) const {
        Block block{};
        block.data[0] = l;
        block.inner[0] = l_step;
        block.n = n;
        block.rows = 1;
        int const to = op_info[index(op)].inputs;
        if (to == 2) {
            block.data[1] = r;
            block.inner[1] = r_step;
        }
        block.data[to] = out;
        block.inner[to] = out_step;
        table.elementwise[index(op)][index(dtype)](block, nullptr);
    }

    // Whether elements are close, for n <= piece of them: the steps of NumPy's isclose.
    void judge(npy_intp from, npy_intp n, char* close) const {
        alignas(64) char buffers[4][piece * 8], flags[piece], more[piece];
        npy_intp const size = size_of(t);
        npy_intp x_step, y_step;
        char* const a = x.read(buffers[0], from, n, size, &x_step);
        char* const b = y.read(buffers[1], from, n, size, &y_step);
        char *const distance = buffers[2], *const tolerance = buffers[3];
        auto mask = [&](Op op, char* l, char* r, char* out) {
            call(op, DType::boolean, l, 1, r, 1, out, 1, n);
        };
        call(Op::subtract, t, a, x_step, b, y_step, distance, size, n);
        call(Op::absolute, t, distance, size, nullptr, 0, distance, size, n);
        if (tolerance_known) {
            call(Op::less_equal, t, distance, size, const_cast<char*>(atol), 0, close, 1, n);
        } else {
            call(Op::absolute, t, b, y_step, nullptr, 0, tolerance, size, n);
            call(Op::multiply, t, const_cast<char*>(rtol), 0, tolerance, size, tolerance, size, n);
            call(Op::add, t, const_cast<char*>(atol), 0, tolerance, size, tolerance, size, n);
            call(Op::less_equal, t, distance, size, tolerance, size, close, 1, n);
            call(Op::isfinite, t, b, y_step, nullptr, 0, flags, 1, n);
            mask(Op::bitwise_and, close, flags, close);
        }
        call(Op::equal, t, a, x_step, b, y_step, flags, 1, n);
        mask(Op::bitwise_or, close, flags, close);
        if (!equal_nan || tolerance_known) return;
        call(Op::isnan, t, a, x_step, nullptr, 0, flags, 1, n);
        call(Op::isnan, t, b, y_step, nullptr, 0, more, 1, n);
        mask(Op::bitwise_and, flags, more, flags);
        mask(Op::bitwise_or, close, flags, close);
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
    DType const t = !y_number && is_floating(y_t)           ? y_t
                    : y_number && of_like == DType::float32 ? DType::float32
                                                            : DType::float64;
    if (!x_number && t == DType::float32 && x_t != DType::float32) return decline(Why::dtype);

    Closeness work{*act.table, t, {}, {}, {}, {}, y_number, equal_nan};
    alignas(8) char elements[2][8];
    Side* const sides[] = {&work.x, &work.y};
    double tolerance = atol;
    for (int i = 0; i < 2; ++i) {
        if (is_number(given[i])) {
            if (!scalar_element(given[i], t, elements[i])) return decline(Why::value);
            *sides[i] = {elements[i], 0, nullptr};
            continue;
        }
        Fields const* const f = fields(given[i]);
        DType const own = dtype_of(f->descr);
        *sides[i] = {f->data, f->nd == 1 ? f->strides[0] : size_of(own),
                     own == t ? nullptr : act.table->cast[index(own)][index(t)]};
    }
    if (y_number) {
        double const y = PyFloat_CheckExact(given[1])
                             ? PyFloat_AS_DOUBLE(given[1])
                             : static_cast<double>(PyLong_AsLongLong(given[1]));
        if (!std::isfinite(y)) return decline(Why::value);
        tolerance = atol + rtol * std::fabs(y);
    }
    auto put = [t](double value, char* element) {
        auto const number = py::reinterpret_steal<py::object>(PyFloat_FromDouble(value));
        return number && scalar_element(number.ptr(), t, element);
    };
    if (!put(rtol, work.rtol) || !put(tolerance, work.atol)) return decline(Why::value);

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
    bool all = true;
    char close[piece];
    npy_intp const n = size_of(like);
    for (npy_intp from = 0; from < n; from += piece) {
        npy_intp const part = n - from < piece ? n - from : piece;
        char* const here = to ? to + from : close;
        work.judge(from, part, here);
        all = all && !std::memchr(here, 0, static_cast<size_t>(part));
    }
    // NumPy ignores invalid values here; of everything else it tells.
    int const status = fp_status();
    clear_fp_status();
    if (status & ~NPY_FPE_INVALID) return decline(Why::value);
    count_native(entry, t, layout_of(like), like->nd, like->dimensions);
    if (which == 1) return PyBool_FromLong(all);
    Fields const* const r = fields(result.ptr());  // NumPy's `result[()]` is a view
    return new_view(result.ptr(), r->nd, r->dimensions, r->strides, r->data, r->descr);
}

}  // namespace raptors
