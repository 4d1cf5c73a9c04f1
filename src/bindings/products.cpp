#include "products.h"

#include <cstdlib>

#include "backend.h"
#include "conversion.h"
#include "elementwise.h"
#include "frame/fpstatus.h"
#include "linalg.h"
#include "object_cache.h"
#include "operand.h"
#include "threads.h"

namespace raptors {

Entry* matmul_entry;

namespace {

Signature const ufunc_signature = {3, 3, {"x1", "x2", "out"}, {}};

enum class Part : uint8_t { row, column, batch };
// What a contraction makes of two shapes.
struct Scheme {
    npy_intp k, a_step, b_step;  // the axis that is summed over
    int nd;
    // The result's axes, and steps along them in a and b: 0 where an operand repeats.
    npy_intp dims[NPY_MAXDIMS], a[NPY_MAXDIMS], b[NPY_MAXDIMS];
    Part part[NPY_MAXDIMS];

    bool add(npy_intp n, npy_intp in_a, npy_intp in_b, Part what) {
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
                     Part::batch))
                return false;
        }
        return true;
    }
};

// False: NumPy's error.
bool make_scheme(Contraction what, const Fields* f, const Fields* g, Scheme& s) {
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
        return !rows || s.add(f->dimensions[last - 1], f->strides[last - 1], 0, Part::row);
    };
    auto add_column = [&] {
        return !columns || s.add(g->dimensions[column], 0, g->strides[column], Part::column);
    };
    if (!dot && what != Contraction::inner)
        return s.add_stacks(f, f_stacks, g, g_stacks) && add_row() && add_column();
    // All of one operand's axes, then all of the other's.
    for (int d = 0; d < f_stacks; ++d)
        if (!s.add(f->dimensions[d], f->strides[d], 0, Part::batch)) return false;
    if (!add_row()) return false;
    for (int d = 0; d < g_stacks; ++d)
        if (!s.add(g->dimensions[d], 0, g->strides[d], Part::batch)) return false;
    return add_column();
}

// Whether NumPy's iterator would lay the stacks of the result out in C order.
bool stacks_in_order(const Scheme& s) {
    for (int d = 0; d + 1 < s.nd; ++d) {
        if (s.part[d] != Part::batch || s.part[d + 1] != Part::batch) continue;
        auto swapped = [](npy_intp outer, npy_intp inner) {
            return outer && inner && std::abs(outer) < std::abs(inner);
        };
        if (swapped(s.a[d], s.a[d + 1]) || swapped(s.b[d], s.b[d + 1])) return false;
    }
    return true;
}

}  // namespace

bool is_injective(const Fields* f) {
    int perm[NPY_MAXDIMS];
    stride_order(f, perm);
    npy_intp covered = PyDataType_ELSIZE(f->descr);
    for (int d = f->nd - 1; d >= 0; --d) {
        npy_intp const stride = std::abs(f->strides[perm[d]]), n = f->dimensions[perm[d]];
        if (n <= 1) continue;
        if (stride < covered) return false;
        covered = stride * n;
    }
    return true;
}

namespace {

struct Stacks {
    npy_intp shape[NPY_MAXDIMS], a[NPY_MAXDIMS], b[NPY_MAXDIMS], c[NPY_MAXDIMS];
};

Product make_product(const Scheme& s, const Fields* f, const Fields* g, char* out,
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
            case Part::row:
                p.m = s.dims[d];
                p.a_row = s.a[d];
                p.c_row = strides[d];
                break;
            case Part::column:
                p.n = s.dims[d];
                p.b_column = s.b[d];
                p.c_column = strides[d];
                break;
            case Part::batch:
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

}  // namespace

bool run_product(const Table& table, DType t, const Product& p, bool* by_blas) {
    double const ns = cost_of(table, t, p);
    const Blas* library = nullptr;
    if (is_floating(t)) {
        library = blas_for(t, p, is_worth_planning(ns) ? current_threads() : 1);
        if (!library && PyErr_Occurred()) return false;
    }
    clear_fp_status();
    bool done = true;
    *by_blas = false;
    run_work(
        ns, [&](int threads) { return share_for(table, t, p, threads); },
        [&](Share share) {
            *by_blas = library && multiply(*library, t, p, share.crew.threads);
            done = *by_blas || multiply(table, t, p, share);
        },
        library != nullptr);
    if (!done) PyErr_NoMemory();
    return done;
}

PyObject* product(Contraction what, Entry* entry, PyObject* a, PyObject* b, PyObject* given) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (!is_exact(a) || !is_exact(b)) return decline(Why::type);
    Fields const *const f = fields(a), *const g = fields(b);
    DType const t = dtype_of(f->descr);
    if (t == no_dtype || f->descr != g->descr || !has_gemm(*act.table, t))
        return decline(Why::dtype);
    if (f->nd == 1 && g->nd == 1 && !given && what != Contraction::matvec &&
        what != Contraction::vecmat)
        return dot_of_vectors(entry, a, b);
    Scheme s;
    bool const ufunc = what < Contraction::dot;
    if (!make_scheme(what, f, g, s) || (ufunc && !given && !stacks_in_order(s)))
        return decline(Why::shape);
    int const num = f->descr->type_num;
    alignas(8) char element[8];
    PyObject* out = nullptr;
    if (given) {
        if (!is_exact(given)) return decline(Why::type);
        Fields const* const o = fields(given);
        if (o->descr != f->descr || !(o->flags & NPY_ARRAY_WRITEABLE) || (o->flags & warn_on_write))
            return decline(Why::keyword);
        if (!ufunc && !(o->flags & NPY_ARRAY_C_CONTIGUOUS)) return decline(Why::keyword);
        if (o->nd != s.nd) return decline(Why::shape);
        for (int d = 0; d < s.nd; ++d)
            if (o->dimensions[d] != s.dims[d]) return decline(Why::shape);
        if (!apart(o, f) || !apart(o, g) || !is_injective(o)) return decline(Why::overlap);
        out = new_ref(given);
    } else if (s.nd) {
        out = new_array(s.nd, s.dims, descr_of_num[num]);
        if (!out) return nullptr;
    }
    Stacks stacks;
    Product const p = make_product(s, f, g, out ? fields(out)->data : element,
                                   out ? fields(out)->strides : nullptr, stacks);
    bool by_blas;
    if (!run_product(*act.table, t, p, &by_blas)) {
        Py_XDECREF(out);
        return nullptr;
    }
    int const status = is_floating(t) ? fp_status() : 0;
    if (status && ufunc) {
        if (report_fp_status(entry->name, status) < 0) {
            Py_XDECREF(out);
            return nullptr;
        }
    } else if (status) {  // which NumPy tells of, if at all, in its own way
        clear_fp_status();
        Py_XDECREF(out);
        return decline(Why::value);
    }
    count_native(entry, t, layout_of(f), s.nd, s.dims);
    if (by_blas) count_blas(entry, t);
    return out ? out : as_scalar(element, t, num);
}

namespace {

template <Contraction what>
PyObject* ufunc_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
    if (nargs < 2) return decline(Why::keyword);  // inputs have no names
    PyObject* slots[max_parameters];
    if (!ufunc_signature.parse(args, nargs, kwnames, slots)) return decline(Why::keyword);
    PyObject* out = is_none(slots[2]) ? nullptr : slots[2];
    if (out && PyTuple_CheckExact(out) && PyTuple_GET_SIZE(out) == 1) {
        out = PyTuple_GET_ITEM(out, 0);
        if (out == Py_None) out = nullptr;
    }
    return product(what, entry, slots[0], slots[1], out);
}

}  // namespace

const UfuncRow product_ufuncs[4] = {{"matmul", ufunc_native<Contraction::matmul>},
                                    {"vecdot", ufunc_native<Contraction::vecdot>},
                                    {"matvec", ufunc_native<Contraction::matvec>},
                                    {"vecmat", ufunc_native<Contraction::vecmat>}};

}  // namespace raptors
