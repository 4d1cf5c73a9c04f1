#include "linalg/solve.h"

#include <cstdlib>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/copying.h"
#include "frame/fp/fpstatus.h"
#include "frame/run/solve.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const solve_signature = {1, 1, {"b"}, {}};

// The leading axes of A and B, broadcast against one another: steps of 0 where one repeats.
struct Stack {
    int nd;
    npy_intp dims[NPY_MAXDIMS], a[NPY_MAXDIMS], b[NPY_MAXDIMS];
};

// False: they do not broadcast, there are no matrices, or NumPy's iterator would not lay results
// out in C order.
bool make_stack(const Fields* f, int f_axes, const Fields* g, int g_axes, Stack& s) {
    s.nd = f_axes > g_axes ? f_axes : g_axes;
    for (int d = 0; d < s.nd; ++d) {
        int const i = d - s.nd + f_axes, j = d - s.nd + g_axes;
        npy_intp const m = i < 0 ? 1 : f->dimensions[i], n = !g || j < 0 ? 1 : g->dimensions[j];
        if ((m != n && m != 1 && n != 1) || m == 0 || n == 0) return false;
        s.dims[d] = m == 1 ? n : m;
        s.a[d] = m == 1 ? 0 : f->strides[i];
        s.b[d] = n == 1 ? 0 : g->strides[j];
        auto swapped = [](npy_intp outer, npy_intp inner) {
            return outer && inner && std::abs(outer) < std::abs(inner);
        };
        for (int e = 0; e < d; ++e)
            if (swapped(s.a[e], s.a[d]) || swapped(s.b[e], s.b[d])) return false;
    }
    return true;
}

// x, or its elements in dtype t. nullptr: declined, or an error.
py::object with_dtype(PyObject* x, DType t) {
    if (!x || dtype_of(fields(x)->descr) == t) return py::reinterpret_borrow<py::object>(x);
    return py::reinterpret_steal<py::object>(converted(x, descr_of(t), Order::c));
}

enum class Wanted : uint8_t { inverse, solution, determinant };

// What the kernels do not answer for, NumPy does: it raises its errors, its rounding decides
// whether a matrix is singular, and it has its own ways with what is not finite.
PyObject* equations(Wanted wanted, Entry* entry, PyObject* a, PyObject* b) {
    const Active& act = active();
    if (!act.table) return decline(Why::disabled);
    if (!is_exact(a) || (b && !is_exact(b))) return decline(Why::type);
    const Fields *f = fields(a), *g = b ? fields(b) : nullptr;
    DType const t_a = dtype_of(f->descr), t_b = g ? dtype_of(g->descr) : t_a;
    if (!is_elementary(t_a) || !is_elementary(t_b)) return decline(Why::dtype);
    DType const t = t_a == DType::float32 && t_b == t_a ? t_a : DType::float64;

    int const f_axes = f->nd - 2;
    if (f_axes < 0) return decline(Why::shape);
    npy_intp const n = f->dimensions[f_axes];
    if (n != f->dimensions[f_axes + 1] || n < 1 || n > most_small) return decline(Why::shape);
    bool const is_vector = g && g->nd == 1;
    int const g_axes = !g || is_vector ? 0 : g->nd - 2;
    if (g && (g_axes < 0 || g->dimensions[g_axes] != n)) return decline(Why::shape);
    npy_intp const columns = !g ? n : is_vector ? 1 : g->dimensions[g_axes + 1];
    Stack s;
    if (columns < 1 || !make_stack(f, f_axes, g, g_axes, s)) return decline(Why::shape);

    py::object const own_a = with_dtype(a, t), own_b = with_dtype(b, t);
    if (!own_a || (b && !own_b)) return nullptr;
    f = fields(own_a.ptr());
    g = b ? fields(own_b.ptr()) : nullptr;
    make_stack(f, f_axes, g, g_axes, s);

    EquationStack stack{};
    stack.n = static_cast<int>(n);
    stack.columns = wanted == Wanted::determinant ? 0 : columns;
    stack.a = f->data;
    stack.a_row = f->strides[f_axes];
    stack.a_column = f->strides[f_axes + 1];
    if (g) {
        stack.b = g->data;
        stack.b_row = g->strides[g_axes];
        stack.b_column = is_vector ? 0 : g->strides[g_axes + 1];
    }
    stack.dims = s.nd;
    stack.shape = s.dims;
    stack.a_stack = s.a;
    stack.b_stack = s.b;
    stack.out_column = stack.out_bytes = item_size(t);
    stack.out_row = columns * item_size(t);
    npy_intp dims[NPY_MAXDIMS];
    int nd = s.nd;
    for (int d = 0; d < nd; ++d) dims[d] = s.dims[d];
    if (wanted != Wanted::determinant) {
        stack.out_bytes *= n * columns;
        dims[nd++] = n;
        if (!is_vector) dims[nd++] = columns;
    }
    Element element;
    py::object out;
    if (nd) {
        out = py::reinterpret_steal<py::object>(new_array(nd, dims, descr_of(t)));
        if (!out) return nullptr;
    }
    stack.out = nd ? fields(out.ptr())->data : element;

    EquationsFn const kernel =
        (wanted == Wanted::determinant ? act.table->determinant : act.table->solve)[index(t)];
    bool sound = false;
    clear_fp_status();
    run_work(
        cost_of(stack), [&](int threads) { return split_for(stack, threads); },
        [&](WorkSplit split) { sound = run(kernel, stack, split); });
    // NumPy hides events of inv and solve, but for those of the cast to float32 at the end.
    int const status = fp_status();
    bool const hidden = wanted != Wanted::determinant && t == DType::float64;
    clear_fp_status();
    if (!sound || (status & ~(hidden ? fp_underflow : 0))) return decline(Why::value);
    count_native(entry, t, layout_of(fields(a)), nd, dims);
    return out ? out.release().ptr() : as_scalar(element, t, num_of_dtype[index(t)]);
}

}  // namespace

PyObject* inv_native(int, Entry* entry, PyObject* self, PyObject* const*, Py_ssize_t nargs,
                     PyObject* kwnames) {
    if (nargs || kwnames) return decline(Why::keyword);
    return equations(Wanted::inverse, entry, self, nullptr);
}

PyObject* solve_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
    PyObject* slots[max_parameters];
    if (!solve_signature.parse(args, nargs, kwnames, slots) || !slots[0])
        return decline(Why::keyword);
    return equations(Wanted::solution, entry, self, slots[0]);
}

PyObject* det_native(int, Entry* entry, PyObject* self, PyObject* const*, Py_ssize_t nargs,
                     PyObject* kwnames) {
    if (nargs || kwnames) return decline(Why::keyword);
    return equations(Wanted::determinant, entry, self, nullptr);
}

}  // namespace raptors
