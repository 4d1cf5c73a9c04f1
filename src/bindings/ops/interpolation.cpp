#include "ops/interpolation.h"

#include <algorithm>
#include <cmath>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/copying.h"
#include "python/operand.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const signature = {5, 5, {"xp", "fp", "left", "right", "period"}, {}};

// An exact array of real numbers as a run of float64. Null: declined, or an error is set.
py::object doubles(PyObject* x) {
    PyArray_Descr* const descr = descr_of(DType::float64);
    declined = Why::dtype;
    if (!is_exact(x) || !is_elementary(dtype_of(fields(x)->descr))) return {};
    if (dtype_of(fields(x)->descr) != DType::float64)
        return py::reinterpret_steal<py::object>(converted(x, descr, Order::c));
    return py::reinterpret_steal<py::object>(is_run(fields(x)) ? new_ref(x) : c_ordered(x));
}
double* data_of(const py::object& a) { return reinterpret_cast<double*>(fields(a.ptr())->data); }

// The value beyond an end: an argument, or a sample's.
bool read_end(PyObject* x, double sample, double* value) {
    *value = sample;
    return is_none(x) || scalar_element(x, DType::float64, value);
}

// Of samples in another order NumPy's result depends on how it searches.
bool is_ascending(const double* x, npy_intp n) {
    bool ascending = true;
    for (npy_intp i = 1; i < n; ++i) ascending &= x[i - 1] <= x[i];
    return ascending;
}

void interpolate(InterpolateFn kernel, const InterpolateBlock& all) {
    if (!all.n_at) return;
    double const steps = std::ilogb(static_cast<double>(all.n)) + 5;
    run_long(all.n_at, steps, [&](WorkSplit split) {
        npy_intp const grain = std::min(split.grain, all.n_at);
        for_chunks((all.n_at + grain - 1) / grain, split.team, [&](npy_intp i) {
            InterpolateBlock part = all;
            part.at += i * grain;
            part.out += i * grain;
            part.n_at = std::min(grain, all.n_at - i * grain);
            kernel(part);
        });
    });
}

}  // namespace

PyObject* interp_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                        PyObject* kwnames) {
    const Active& act = active();
    PyObject* slots[max_parameters];
    if (!act.table) return decline(Why::disabled);
    if (!signature.parse(args, nargs, kwnames, slots) || !slots[0] || !slots[1] ||
        !is_none(slots[4]))
        return decline(Why::keyword);
    PyObject *const xp = slots[0], *const fp = slots[1];
    if (!is_exact(xp) || !is_exact(fp)) return decline(Why::type);
    npy_intp const n = count_of(fields(xp));
    // Of a single sample NumPy gives the value at NaN, too; wrong shapes are its errors.
    if (fields(xp)->nd != 1 || fields(fp)->nd != 1 || n < 2 || count_of(fields(fp)) != n)
        return decline(Why::shape);
    // So many samples for so few places take longer to look through than NumPy's search.
    if (n > 1000 && n / 8 > (is_exact(self) ? count_of(fields(self)) : 1))
        return decline(Why::borrowed);
    auto const x = doubles(xp);
    auto const y = x ? doubles(fp) : py::object();
    if (!y) return nullptr;
    InterpolateBlock block = {data_of(x), data_of(y), n, nullptr, 1, nullptr, 0, 0};
    if (!is_ascending(block.x, n) || !read_end(slots[2], block.y[0], &block.left) ||
        !read_end(slots[3], block.y[n - 1], &block.right))
        return decline(Why::value);
    Element number;
    double one;
    if (!is_exact(self)) {
        if (!scalar_element(self, DType::float64, number)) return decline(Why::type);
        block.at = reinterpret_cast<const double*>(&number);
        block.out = &one;
        act.table->interpolate(block);
        count_native(entry, fields(xp));
        return as_scalar(reinterpret_cast<const char*>(&one), DType::float64, NPY_DOUBLE);
    }
    auto const at = doubles(self);
    if (!at) return nullptr;
    Fields const* const f = fields(at.ptr());
    PyObject* const out = new_array(f->nd, f->dimensions, descr_of(DType::float64));
    if (!out) return nullptr;
    block.at = data_of(at);
    block.n_at = count_of(f);
    block.out = reinterpret_cast<double*>(fields(out)->data);
    interpolate(act.table->interpolate, block);
    count_native(entry, fields(self));
    return PyArray_Return(as_array(out));
}

}  // namespace raptors
