#include "ops/sorting.h"

#include <cmath>
#include <numeric>

#include "api/table.h"

#include "creation/copying.h"
#include "numpy/fallback.h"
#include "ops/elementwise.h"
#include "runtime/isa_choice.h"
#include "runtime/threads.h"

namespace py = pybind11;

namespace raptors {
namespace {

Signature const sort_signature = {4, 3, {"axis", "kind", "order", "stable"}, {}};
Signature const partition_signature = {4, 4, {"kth", "axis", "kind", "order"}, {}};
Signature const search_signature = {3, 3, {"v", "side", "sorter"}, {}};
constexpr double sort_cost = 20;  // nanoseconds for an element

// Along one axis of an array that has axes; no order of fields. Nothing where raptors is disabled:
// copies need its kernels.
bool parse_along(PyObject* self, PyObject* axis, PyObject* order, npy_intp* along) {
    *along = -1;
    return active().table && is_exact(self) && fields(self)->nd && is_none(order) &&
           (!axis || parse_axis(axis, fields(self)->nd, along));
}

// The arguments of sort and argsort.
struct Sorting {
    npy_intp axis = -1;
    NPY_SORTKIND kind = NPY_QUICKSORT;
    bool taken = false;  // false: declined

    Sorting(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
        PyObject* slots[max_parameters];
        taken = sort_signature.parse(args, nargs, kwnames, slots) &&
                parse_along(self, slots[0], slots[2], &axis) && is_kind(slots[1]) &&
                is_none(slots[3]);
        if (!taken) declined = Why::borrowed;
    }
    bool is_kind(PyObject* x) {
        if (is_none(x) || is_text(x, "quicksort")) return true;
        kind = NPY_STABLESORT;
        return is_text(x, "stable") || is_text(x, "mergesort");
    }
    // Whether the elements to be sorted lie in rows of numbers as the processor has them.
    bool in_rows(const Fields* f) const {
        return (axis < 0 || axis == f->nd - 1) && is_run(f) && dtype_of(f->descr) != no_dtype &&
               count_of(f);
    }
};

// The arguments of partition and argpartition.
struct Partition {
    py::object kth;  // one integer, as an array; null: declined, or an error is set
    npy_intp axis = -1;

    Partition(PyObject* self, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
        PyObject* slots[max_parameters];
        if (partition_signature.parse(args, nargs, kwnames, slots) && slots[0] &&
            parse_along(self, slots[1], slots[3], &axis) &&
            (!slots[2] || is_text(slots[2], "introselect")))
            read_place(slots[0]);
        else
            declined = Why::borrowed;
    }
    void read_place(PyObject* x) {
        npy_intp const n = 1;
        npy_intp place;
        declined = Why::borrowed;
        if (!parse_integer(x, &place)) return;
        kth = py::reinterpret_steal<py::object>(new_array(1, &n, descr_of_num[NPY_INTP]));
        if (kth) store(fields(kth.ptr())->data, place);
    }
    PyArrayObject* array() const { return as_array(kth.ptr()); }
};

// work(array): on the array itself, or on a copy, which is returned.
template <class Work>
PyObject* in_place(int which, PyObject* self, const Work& work) {
    if (which != on_copy) return work(self) < 0 ? nullptr : new_ref(Py_None);
    PyObject* copy = copied(self, Order::keep);
    if (!copy && !PyErr_Occurred()) copy = adopt(PyArray_NewCopy(as_array(self), NPY_KEEPORDER));
    if (copy && work(copy) < 0) Py_CLEAR(copy);
    return copy;
}

PyObject* returned(PyObject* o) { return o ? adopt(PyArray_Return(as_array(o))) : nullptr; }

// sort_row(r) for every row, until one fails. Negative: out of memory, which is the only failure.
template <class SortRow>
int sort_rows(const Fields* f, const SortRow& sort_row) {
    npy_intp const rows = count_of(f) / f->dimensions[f->nd - 1];
    bool done = true;
    run_long(count_of(f), sort_cost, [&](WorkSplit) {
        for (npy_intp r = 0; r < rows && done; ++r) done = sort_row(r) >= 0;
    });
    if (!done) PyErr_NoMemory();
    return done ? 0 : -1;
}

// Sorts in the array itself.
int sort(PyObject* self, const Sorting& how) {
    Fields const* const f = fields(self);
    PyArray_SortFunc* const kernel = PyDataType_GetArrFuncs(f->descr)->sort[how.kind];
    if (!kernel || !how.in_rows(f) || !is_writeable(f))
        return PyArray_Sort(as_array(self), static_cast<int>(how.axis), how.kind);
    npy_intp const n = f->dimensions[f->nd - 1];
    npy_intp const row = n * PyDataType_ELSIZE(f->descr);
    return sort_rows(f, [&](npy_intp r) { return kernel(f->data + r * row, n, self); });
}

PyObject* argsort(PyObject* self, const Sorting& how) {
    Fields const* const f = fields(self);
    PyArray_ArgSortFunc* const kernel = PyDataType_GetArrFuncs(f->descr)->argsort[how.kind];
    if (!kernel || !how.in_rows(f))
        return returned(PyArray_ArgSort(as_array(self), static_cast<int>(how.axis), how.kind));
    PyObject* const out = new_array(f->nd, f->dimensions, descr_of_num[NPY_INTP]);
    if (!out) return nullptr;
    npy_intp const n = f->dimensions[f->nd - 1];
    npy_intp const row = n * PyDataType_ELSIZE(f->descr);
    auto* const places = reinterpret_cast<npy_intp*>(fields(out)->data);
    int const done = sort_rows(f, [&](npy_intp r) {
        std::iota(places + r * n, places + (r + 1) * n, npy_intp{0});
        return kernel(f->data + r * row, places + r * n, n, self);
    });
    if (done == 0) return out;
    Py_DECREF(out);
    return nullptr;
}

}  // namespace

PyObject* sort_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                      Py_ssize_t nargs, PyObject* kwnames) {
    Sorting const how(self, args, nargs, kwnames);
    if (!how.taken) return nullptr;
    count_numpy(entry, Why::borrowed, self);
    return in_place(which, self, [&](PyObject* a) { return sort(a, how); });
}

PyObject* argsort_native(int, Entry* entry, PyObject* self, PyObject* const* args, Py_ssize_t nargs,
                         PyObject* kwnames) {
    Sorting const how(self, args, nargs, kwnames);
    if (!how.taken) return nullptr;
    count_numpy(entry, Why::borrowed, self);
    return argsort(self, how);
}

PyObject* partition_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                           Py_ssize_t nargs, PyObject* kwnames) {
    Partition const at(self, args, nargs, kwnames);
    if (!at.kth) return nullptr;
    count_numpy(entry, Why::borrowed, self);
    return in_place(which, self, [&](PyObject* a) {
        return PyArray_Partition(as_array(a), at.array(), static_cast<int>(at.axis),
                                 NPY_INTROSELECT);
    });
}

PyObject* argpartition_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                              Py_ssize_t nargs, PyObject* kwnames) {
    Partition const at(self, args, nargs, kwnames);
    if (!at.kth) return nullptr;
    count_numpy(entry, Why::borrowed, self);
    Views views;  // an array of the base class is sooner made
    PyObject* const a = views.argument(self, false);
    return a ? returned(PyArray_ArgPartition(as_array(a), at.array(), static_cast<int>(at.axis),
                                             NPY_INTROSELECT))
             : nullptr;
}

namespace {

// What is searched for, as elements of the dtype that is searched in.
struct Keys {
    const char* data;
    npy_intp n;
    Element element;
};

// NumPy compares in the dtype that both go to: here there is one.
bool read_keys(PyObject* v, DType t, Keys& keys) {
    if (is_exact(v)) {
        Fields const* const f = fields(v);
        keys.data = f->data;
        keys.n = count_of(f);
        return dtype_of(f->descr) == t && is_run(f);
    }
    bool const is_same = PyFloat_CheckExact(v)  ? t == DType::float64
                         : PyLong_CheckExact(v) ? t == DType::int64
                                                : false;
    keys.data = keys.element;
    keys.n = 1;
    return is_same && scalar_element(v, t, keys.element);
}

// nullptr without an error: NumPy's C function searches.
PyObject* searched(PyObject* self, PyObject* v, bool behind) {
    Fields const* const f = fields(self);
    DType const t = dtype_of(f->descr);
    Keys keys;
    if (!active().table || t == no_dtype || f->nd != 1 || !is_run(f)) return nullptr;
    SearchFn const kernel = active().table->search[index(t)];
    if (!kernel || !read_keys(v, t, keys)) return nullptr;
    SearchBlock block = {f->data, f->dimensions[0], keys.data, keys.n, nullptr, behind};
    if (!is_exact(v)) {
        int64_t position;
        block.positions = &position;
        kernel(block);
        return as_scalar(reinterpret_cast<const char*>(&position), DType::int64, NPY_INTP);
    }
    PyObject* const out = new_array(fields(v)->nd, fields(v)->dimensions, descr_of_num[NPY_INTP]);
    if (!out) return nullptr;
    block.positions = reinterpret_cast<int64_t*>(fields(out)->data);
    double const steps = std::ilogb(static_cast<double>(block.n) + 1) + 1;
    run_long(keys.n, steps, [&](WorkSplit) { kernel(block); });
    return PyArray_Return(as_array(out));
}

}  // namespace

PyObject* searchsorted_native(int, Entry* entry, PyObject* self, PyObject* const* args,
                              Py_ssize_t nargs, PyObject* kwnames) {
    PyObject* slots[max_parameters];
    if (!is_exact(self) || !search_signature.parse(args, nargs, kwnames, slots) || !slots[0] ||
        !is_none(slots[2]))
        return decline(Why::borrowed);
    bool const behind = slots[1] && is_text(slots[1], "right");
    bool const number = PyFloat_CheckExact(slots[0]) || PyLong_CheckExact(slots[0]);
    if ((slots[1] && !behind && !is_text(slots[1], "left")) || !(number || is_exact(slots[0])))
        return decline(Why::borrowed);
    Fields const* const f = fields(self);
    PyObject* const out = searched(self, slots[0], behind);
    if (out) count_native(entry, f);
    if (out || PyErr_Occurred()) return out;
    count_numpy(entry, Why::dtype, self);
    return returned(PyArray_SearchSorted(as_array(self), slots[0],
                                         behind ? NPY_SEARCHRIGHT : NPY_SEARCHLEFT, nullptr));
}

}  // namespace raptors
