#include "linalg/product.h"

#include <cstdlib>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/copying.h"
#include "frame/fp/fpstatus.h"
#include "frame/threads/clock.h"
#include "linalg/backend.h"
#include "ops/elementwise.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {

Entry* matmul_entry;

namespace {

Signature const ufunc_signature = {3, 3, {"x1", "x2", "out"}, {}};
Signature const dot_signature = {2, 2, {"b", "out"}, {}};

constexpr bool is_ufunc(Contraction what) { return what < Contraction::dot; }

enum class AxisRole : uint8_t { row, column, batch };
// What a contraction makes of two shapes.
struct AxisScheme {
    npy_intp k, a_step, b_step;  // the axis that is summed over
    int nd;
    // The result's axes, and steps along them in a and b: 0 where an operand repeats.
    npy_intp dims[NPY_MAXDIMS], a[NPY_MAXDIMS], b[NPY_MAXDIMS];
    AxisRole part[NPY_MAXDIMS];

    bool add(npy_intp n, npy_intp in_a, npy_intp in_b, AxisRole what) {
        if (nd == NPY_MAXDIMS) return false;
        dims[nd] = n;
        a[nd] = in_a;
        b[nd] = in_b;
        part[nd++] = what;
        return true;
    }
    // Leading axes, broadcast against one another.
    bool add_stacks(const Fields* f, int f_axes, const Fields* g, int g_axes) {
        int const axes = f_axes > g_axes ? f_axes : g_axes;
        for (int d = 0; d < axes; ++d) {
            int const i = d - axes + f_axes, j = d - axes + g_axes;
            npy_intp const m = i < 0 ? 1 : f->dimensions[i], n = j < 0 ? 1 : g->dimensions[j];
            if (m != n && m != 1 && n != 1) return false;
            if (!add(m == 1 ? n : m, m == 1 ? 0 : f->strides[i], n == 1 ? 0 : g->strides[j],
                     AxisRole::batch))
                return false;
        }
        return true;
    }
};

// False: NumPy's error.
bool make_scheme(Contraction what, const Fields* f, const Fields* g, AxisScheme& s) {
    if (!f->nd || !g->nd) return false;
    bool const matmul = what == Contraction::matmul, dot = what == Contraction::dot;
    // Axes of each operand that are a matrix's: those before them are stacks.
    bool const rows =
        f->nd > 1 && (what == Contraction::matvec || what == Contraction::inner || matmul || dot);
    bool const columns =
        g->nd > 1 && (what == Contraction::vecmat || what == Contraction::inner || matmul || dot);
    if ((what == Contraction::matvec && !rows) || (what == Contraction::vecmat && !columns))
        return false;
    int const last = f->nd - 1;
    // The second operand's columns are its last axis, but inner() sums over that.
    int const column = what == Contraction::inner ? g->nd - 2 : g->nd - 1;
    int const along = columns && what != Contraction::inner ? g->nd - 2 : g->nd - 1;
    s.nd = 0;
    s.k = f->dimensions[last];
    s.a_step = f->strides[last];
    s.b_step = g->strides[along];
    if (g->dimensions[along] != s.k) return false;
    int const f_stacks = last - rows, g_stacks = g->nd - 1 - columns;
    auto add_row = [&] {
        return !rows || s.add(f->dimensions[last - 1], f->strides[last - 1], 0, AxisRole::row);
    };
    auto add_column = [&] {
        return !columns || s.add(g->dimensions[column], 0, g->strides[column], AxisRole::column);
    };
    if (!dot && what != Contraction::inner)
        return s.add_stacks(f, f_stacks, g, g_stacks) && add_row() && add_column();
    // All of one operand's axes, then all of the other's.
    for (int d = 0; d < f_stacks; ++d)
        if (!s.add(f->dimensions[d], f->strides[d], 0, AxisRole::batch)) return false;
    if (!add_row()) return false;
    for (int d = 0; d < g_stacks; ++d)
        if (!s.add(g->dimensions[d], 0, g->strides[d], AxisRole::batch)) return false;
    return add_column();
}

// Whether NumPy's iterator would lay the stacks of the result out in C order.
bool stacks_in_order(const AxisScheme& s) {
    auto swapped = [](npy_intp outer, npy_intp inner) {
        return outer && inner && std::abs(outer) < std::abs(inner);
    };
    for (int d = 1; d < s.nd && s.part[d] == AxisRole::batch; ++d)
        for (int e = 0; e < d; ++e)
            if (swapped(s.a[e], s.a[d]) || swapped(s.b[e], s.b[d])) return false;
    return true;
}

struct Stacks {
    npy_intp shape[NPY_MAXDIMS], a[NPY_MAXDIMS], b[NPY_MAXDIMS], c[NPY_MAXDIMS];
};

Product make_product(const AxisScheme& s, const Fields* f, const Fields* g, char* out,
                     const npy_intp* strides, Stacks& stacks) {
    Product p{};
    p.m = p.n = 1;
    p.k = s.k;
    p.a = f->data;
    p.b = g->data;
    p.c = out;
    p.a_column = s.a_step;
    p.b_row = s.b_step;
    // A lone row or column lies as if others followed.
    npy_intp const size = PyDataType_ELSIZE(f->descr);
    p.a_row = p.a_column * s.k;
    p.b_column = p.c_column = size;
    p.c_row = size;
    for (int d = 0; d < s.nd; ++d) {
        switch (s.part[d]) {
            case AxisRole::row:
                p.m = s.dims[d];
                p.a_row = s.a[d];
                p.c_row = strides[d];
                break;
            case AxisRole::column:
                p.n = s.dims[d];
                p.b_column = s.b[d];
                p.c_column = strides[d];
                break;
            case AxisRole::batch:
                stacks.shape[p.batch_dims] = s.dims[d];
                stacks.a[p.batch_dims] = s.a[d];
                stacks.b[p.batch_dims] = s.b[d];
                stacks.c[p.batch_dims++] = strides[d];
        }
    }
    p.batch_shape = stacks.shape;
    p.a_batch = stacks.a;
    p.b_batch = stacks.b;
    p.c_batch = stacks.c;
    return p;
}

// A call: which contraction, whose, and whether it is one of halves in float32, which leaves
// floating-point events to its caller.
struct ProductCall {
    Contraction what;
    Entry* entry;
    PyArray_Descr* rounded_to;  // by the caller, who tells of events; nullptr: not at all
};

// Floating-point events of a call: NumPy is to do it again, and to tell of them in its own way.
bool leave_to_numpy() {
    clear_fp_status();
    declined = Why::value;
    return false;
}
// They are told here, if that is known. False: an error, or they are left to NumPy.
bool tell(const ProductCall& call, int status) {
    return is_ufunc(call.what) ? report_fp_status(call.entry->name, status) >= 0 : leave_to_numpy();
}

ElementType element_type_of(PyArray_Descr* descr) {
    DType const t = dtype_of(descr);
    return {real_part(t), is_complex(t)};
}

}  // namespace

bool run_product(const Table& table, ElementType element, const Product& p, Offload* offload) {
    DType const t = element.part;
    // What takes no time is not looked at.
    bool const is_short = !p.batch_dims && (p.m | p.n | p.k) < 64 && !element.are_complex;
    double const ns = is_short ? 0 : cost_of(table, element, p);
    Backend backend{};
    if (is_floating(t) && !element.are_complex) {
        backend = backend_for(t, p, ns);
        if (!backend.library && PyErr_Occurred()) return false;
    }
    const Blas* const library = backend.library;
    bool& by_blas = backend.offload.blas;
    bool done = true;
    int64_t const start = backend.lesson ? now_ns() : 0;
    clear_fp_status();
    run_work(
        ns, [&](int threads) { return split_for(table, element, p, threads); },
        [&](WorkSplit split) {
            by_blas = library && multiply(*library, t, p, split.team.threads);
            done = by_blas || multiply(table, element, p, split);
        },
        library != nullptr);
    *offload = backend.offload;
    if (!done) PyErr_NoMemory();
    if (done && backend.lesson) learn(backend, static_cast<double>(now_ns() - start));
    return done;
}

namespace {

// A product, counted as a call with operand f. False: declined, or an error.
bool run(const Table& table, const ProductCall& call, const Product& p, const Fields* f, int nd,
         const npy_intp* dims) {
    ElementType const element = element_type_of(f->descr);
    DType const t = element.part;
    Offload offload;
    // One element by another: NumPy adds it to no zero where it has BLAS, which shows in the sign.
    if ((call.what == Contraction::dot || call.what == Contraction::inner) && is_floating(t) &&
        !call.rounded_to && p.m == 1 && p.n == 1 && p.k == 1 && !p.batch_dims) {
        clear_fp_status();
        kernel_of(table, Op::multiply,
                  t)({{const_cast<char*>(p.a), const_cast<char*>(p.b), p.c}, {}, {}, 1, 1});
        offload = {};
    } else if (!run_product(table, element, p, &offload)) {
        return false;
    }
    int const status = is_floating(t) && !call.rounded_to ? fp_status() : 0;
    // NumPy's BLAS multiplies complex sums by 1 + 0j, and so makes NaN of what overflows.
    if (status && !(element.are_complex ? leave_to_numpy() : tell(call, status))) return false;
    Column const column = column_of(call.rounded_to ? call.rounded_to : f->descr);
    count_native(call.entry, column, layout_of(f), nd, dims);
    if (offload.policy) count_offload(call.entry, offload);
    return true;
}

// Of vectors, or of all elements of two arrays in order.
PyObject* dot_of_vectors(const Table& table, const ProductCall& call, const Fields* f,
                         const Fields* g) {
    auto const step = [](const Fields* x) {
        return x->nd == 1 ? x->strides[0] : npy_intp{PyDataType_ELSIZE(x->descr)};
    };
    npy_intp const k = count_of(f);
    if (k != count_of(g)) return decline(Why::shape);
    Element element;
    Product const p = {{1, 1, k, f->data, 0, step(f), g->data, step(g), 0, element, 0, 0},
                       0,
                       nullptr,
                       nullptr,
                       nullptr,
                       nullptr};
    if (!run(table, call, p, f, 0, nullptr)) return nullptr;
    return as_scalar(element, dtype_of(f->descr), f->descr->type_num);
}

}  // namespace

bool product_with_itself(const Table& table, const Fields* f, char* element) {
    npy_intp const size = PyDataType_ELSIZE(f->descr);
    Product const p = {{1, 1, count_of(f), f->data, 0, size, f->data, size, 0, element, 0, 0},
                       0,
                       nullptr,
                       nullptr,
                       nullptr,
                       nullptr};
    Offload offload;
    return run_product(table, element_type_of(f->descr), p, &offload) &&
           (!fp_status() || leave_to_numpy());
}

namespace {

// What NumPy's BLAS is left with: dot() by a lone element, which scales and takes 0 times NaN for
// 0; and complex products that it is faster at (measured): packing B doubles it, which few rows or
// columns do not pay for.
bool is_left_to_blas(const ProductCall& call, const AxisScheme& s, ElementType element) {
    bool const scales =
        s.k == 1 && !is_ufunc(call.what) && !call.rounded_to && is_floating(element.part);
    if (!scales && !element.are_complex) return false;
    npy_intp m = 1, n = 1;
    bool stacked = false;
    for (int d = 0; d < s.nd; ++d) {
        if (s.part[d] == AxisRole::row) m = s.dims[d];
        if (s.part[d] == AxisRole::column) n = s.dims[d];
        stacked |= s.part[d] == AxisRole::batch;
    }
    if (scales && !stacked && (m == 1) != (n == 1)) return true;
    if (!element.are_complex || wants_blas()) return element.are_complex;
    if (m > 1 && n > 1) {
        npy_intp const least = s.k * n <= 1 << 17 ? 32 : 96;
        return (m < least || n < 8) && s.k * (m > n ? m : n) > 4096;
    }
    npy_intp const size = m * n * s.k;
    return stacked || (scales && size == 1) || size > (n == 1 ? 2048 : 256);
}

// Exact arrays of one dtype.
PyObject* native_product(const Table& table, const ProductCall& call, PyObject* a, PyObject* b,
                         PyObject* given) {
    Fields const *const f = fields(a), *const g = fields(b);
    Contraction const what = call.what;
    bool const ufunc = is_ufunc(what);
    if (what == Contraction::vdot) {  // of flattened arrays
        if (given) return decline(Why::keyword);
        bool const in_order = (f->nd == 1 || (f->flags & NPY_ARRAY_C_CONTIGUOUS)) &&
                              (g->nd == 1 || (g->flags & NPY_ARRAY_C_CONTIGUOUS));
        return in_order ? dot_of_vectors(table, call, f, g) : decline(Why::shape);
    }
    if (f->nd == 1 && g->nd == 1 && !given && what != Contraction::matvec &&
        what != Contraction::vecmat)
        return dot_of_vectors(table, call, f, g);
    AxisScheme s;
    if (!make_scheme(what, f, g, s) || (ufunc && !given && !stacks_in_order(s)))
        return decline(Why::shape);
    if (is_left_to_blas(call, s, element_type_of(f->descr))) return decline(Why::loop);
    PyArray_Descr* const descr = descr_of_num[f->descr->type_num];
    Element element;
    PyObject* out = nullptr;
    if (given) {
        if (!is_exact(given)) return decline(Why::type);
        Fields const* const o = fields(given);
        if (o->descr != f->descr || !(o->flags & NPY_ARRAY_WRITEABLE) || (o->flags & warn_on_write))
            return decline(Why::keyword);
        if (!ufunc && (!(o->flags & NPY_ARRAY_C_CONTIGUOUS) || !o->nd))
            return decline(Why::keyword);
        if (o->nd != s.nd) return decline(Why::shape);
        for (int d = 0; d < s.nd; ++d)
            if (o->dimensions[d] != s.dims[d]) return decline(Why::shape);
        if (!disjoint(o, f) || !disjoint(o, g) || !is_injective(o)) return decline(Why::overlap);
        out = new_ref(given);
    } else if (s.nd) {
        out = new_array(s.nd, s.dims, descr);
        if (!out) return nullptr;
    }
    Stacks stacks;
    Product const p = make_product(s, f, g, out ? fields(out)->data : element,
                                   out ? fields(out)->strides : nullptr, stacks);
    if (!run(table, call, p, f, s.nd, s.dims)) {
        Py_XDECREF(out);
        return nullptr;
    }
    return out ? out : as_scalar(element, dtype_of(descr), descr->type_num);
}

// Matrices of complex numbers: NumPy's BLAS does vectors, where it may conjugate, as well.
PyObject* complex_product(const Table& table, const ProductCall& call, PyObject* a, PyObject* b,
                          PyObject* given) {
    bool const plain = call.what == Contraction::matmul || call.what == Contraction::matvec ||
                       call.what == Contraction::dot || call.what == Contraction::inner;
    if (!plain || (fields(a)->nd < 2 && fields(b)->nd < 2)) return decline(Why::loop);
    return native_product(table, call, a, b, given);
}

// ---- Operands of two dtypes, and half precision

// An exact array as one of dtype `descr`, which holds all its values: itself or a copy.
py::object as_dtype(PyObject* a, PyArray_Descr* descr) {
    if (fields(a)->descr == descr) return py::reinterpret_borrow<py::object>(a);
    return py::reinterpret_steal<py::object>(converted(a, descr, Order::keep));
}

// A product in the dtype that kernels compute in, rounded to dtype t, as NumPy has it. Steals it.
PyObject* rounded(const Table& table, const ProductCall& call, PyObject* wide, DType t) {
    if (!wide) return nullptr;
    auto const owner = py::reinterpret_steal<py::object>(wide);
    py::object out;
    Element element, sum;
    if (is_ours(wide)) {
        Fields const* const f = fields(wide);
        out = py::reinterpret_steal<py::object>(new_array(f->nd, f->dimensions, descr_of(t)));
        if (!out) return nullptr;
        copy_nest(table, f->nd, f->dimensions, f->data, f->strides, computed(t),
                  fields(out.ptr())->data, fields(out.ptr())->strides, t);
    } else {
        PyArray_ScalarAsCtype(wide, sum);
        copy_nest(table, 0, nullptr, sum, nullptr, computed(t), element, nullptr, t);
    }
    int const status = fp_status();
    if (status && !tell(call, status)) return nullptr;
    return out ? out.release().ptr() : as_scalar(element, t, num_of_dtype[index(t)]);
}

// Those that are not of the common dtype are converted; the product of halves is summed in float32.
PyObject* mixed_product(const Table& table, const ProductCall& call, PyObject* a, PyObject* b,
                        PyObject* given) {
    auto const is_known = [](PyObject* x) {
        DType const t = dtype_of(fields(x)->descr);
        return t != no_dtype && !is_complex(t);
    };
    if (!is_known(a) || !is_known(b)) return decline(Why::dtype);
    if (!fields(a)->nd || !fields(b)->nd) return decline(Why::shape);
    auto const common = py::reinterpret_steal<py::object>(
        reinterpret_cast<PyObject*>(PyArray_PromoteTypes(fields(a)->descr, fields(b)->descr)));
    if (!common) return nullptr;
    auto* const descr = reinterpret_cast<PyArray_Descr*>(common.ptr());
    DType const t = dtype_of(descr);
    bool const narrow = computed(t) != t;
    if (narrow && given) return decline(Why::keyword);
    PyArray_Descr* const wide = narrow ? descr_of(computed(t)) : descr;
    py::object const x = as_dtype(a, wide), y = as_dtype(b, wide);
    if (!x || !y) return nullptr;
    if (!narrow) return native_product(table, call, x.ptr(), y.ptr(), given);
    ProductCall const keeping = {call.what, call.entry, descr_of(t)};
    return rounded(table, call, native_product(table, keeping, x.ptr(), y.ptr(), nullptr), t);
}

}  // namespace

PyObject* product(Contraction what, Entry* entry, PyObject* a, PyObject* b, PyObject* out) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (!is_exact(a) || !is_exact(b)) return decline(Why::type);
    PyArray_Descr* const descr = fields(a)->descr;
    ProductCall const call = {what, entry, nullptr};
    DType const t = dtype_of(descr);
    if (descr == fields(b)->descr && is_elementary(t)) [[likely]]
        return native_product(*act.table, call, a, b, out);
    if (descr == fields(b)->descr && t != no_dtype && is_complex(t))
        return complex_product(*act.table, call, a, b, out);
    return mixed_product(*act.table, call, a, b, out);
}

namespace {

template <Contraction what>
PyObject* ufunc_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
    if (nargs < 2) return decline(Why::keyword);  // inputs have no names
    PyObject* slots[max_parameters];
    if (!ufunc_signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
    // By position NumPy takes no tuple.
    PyObject* const out = nargs < 3           ? single_output(slots[2])
                          : is_none(slots[2]) ? nullptr
                                              : slots[2];
    return product(what, entry, slots[0], slots[1], out);
}

}  // namespace

PyObject* dot_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                     Py_ssize_t nargs, PyObject* kwnames) {
    auto const what = static_cast<Contraction>(which);
    PyObject* slots[max_parameters];
    if (!dot_signature.parse(args, nargs, kwnames, slots) || !slots[0] ||
        (what != Contraction::dot && (kwnames || nargs != 1)))
        return decline(Why::keyword);
    return product(what, entry, self, slots[0], is_none(slots[1]) ? nullptr : slots[1]);
}

const UfuncRow product_ufuncs[4] = {{"matmul", ufunc_native<Contraction::matmul>},
                                    {"vecdot", ufunc_native<Contraction::vecdot>},
                                    {"matvec", ufunc_native<Contraction::matvec>},
                                    {"vecmat", ufunc_native<Contraction::vecmat>}};

}  // namespace raptors
