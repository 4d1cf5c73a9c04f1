#include "creation/from_shape.h"

#include <cmath>
#include <cstring>

#include "api/table.h"
#include "array/free_lists.h"
#include "creation/copying.h"
#include "ops/elementwise.h"
#include "python/operand.h"

namespace raptors {
namespace {

Signature shape_signature = {3, 3, {"shape", "dtype", "order"}, {}};
Signature full_signature = {4, 4, {"shape", "fill_value", "dtype", "order"}, {}};
Signature like_signature = {3, 3, {"dtype", "order", "subok"}, {}};
Signature full_like_signature = {4, 4, {"fill_value", "dtype", "order", "subok"}, {}};
Signature eye_signature = {5, 5, {"N", "M", "k", "dtype", "order"}, {}};
Signature identity_signature = {2, 2, {"n", "dtype"}, {}};
Signature linspace_signature = {
    7, 7, {"start", "stop", "num", "endpoint", "retstep", "dtype", "axis"}, {}};

// A shape with no negative length. False: NumPy judges.
bool parse_new_shape(PyObject* shape, int* nd, npy_intp* dims) {
    if (!shape || !parse_shape(shape, nd, dims)) return false;
    for (int i = 0; i < *nd; ++i)
        if (dims[i] < 0) return false;
    return true;
}

using Maker = PyObject* (*)(int, const npy_intp*, PyArray_Descr*);
PyObject* make(Maker maker, Entry* entry, PyObject* const* args, Py_ssize_t nargs,
               PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!shape_signature.parse(args, nargs, kwnames, slots) || !is_c_order(slots[2]))
        return decline(Why::keyword);
    int nd;
    npy_intp dims[NPY_MAXDIMS];
    if (!parse_new_shape(slots[0], &nd, dims)) return decline(Why::shape);
    PyArray_Descr* descr = parse_dtype(slots[1]);
    if (!descr) return nullptr;
    PyObject* out = maker(nd, dims, descr);
    if (out) count_native(entry, dtype_of(descr), Layout::contiguous, nd, dims);
    return out;
}

// The same element n times, at any distance.
void repeat(const Table& table, DType t, const char* element, char* to, npy_intp n,
            npy_intp stride) {
    Block block{};
    block.data[0] = const_cast<char*>(element);
    block.data[1] = to;
    block.inner[1] = stride;
    block.n = n;
    block.rows = 1;
    table.cast[index(t)][index(t)](block, nullptr);
}

// 1 in dtype t.
void store_one(const Table& table, DType t, char* element) {
    boolean one = static_cast<boolean>(1);
    Block block{};
    block.data[0] = reinterpret_cast<char*>(&one);
    block.data[1] = element;
    block.n = block.rows = 1;
    table.cast[index(DType::boolean)][index(t)](block, nullptr);
}

// The dtype that asarray() finds for a scalar, borrowed; nullptr: declined.
PyArray_Descr* dtype_of_scalar(PyObject* x) {
    if (PyFloat_CheckExact(x)) return descr_of(DType::float64);
    if (PyLong_CheckExact(x)) {
        npy_intp value;
        return parse_integer(x, &value) ? descr_of(DType::int64) : nullptr;
    }
    if (PyBool_Check(x)) return descr_of(DType::boolean);
    if (!PyArray_CheckScalar(x) || is_exact(x)) return nullptr;
    PyArray_Descr* const d = PyArray_DescrFromScalar(x);
    if (!d) {
        PyErr_Clear();
        return nullptr;
    }
    DType const t = dtype_of(d);
    PyArray_Descr* const own = t == no_dtype ? nullptr : descr_of_num[d->type_num];
    Py_DECREF(d);
    return own;
}

}  // namespace

PyObject* filled(PyObject* out, const char* element) {
    if (!out) return nullptr;
    Fields const* f = fields(out);
    DType const t = dtype_of(f->descr);
    repeat(*active().table, t, element, f->data, count_of(f), item_size(t));
    return out;
}

PyObject* new_array_as(const Fields* f, const npy_intp* dims) {
    constexpr int both = NPY_ARRAY_F_CONTIGUOUS | NPY_ARRAY_C_CONTIGUOUS;
    if ((f->flags & both) != NPY_ARRAY_F_CONTIGUOUS) return new_array(f->nd, dims, f->descr);
    int perm[NPY_MAXDIMS];
    for (int d = 0; d < f->nd; ++d) perm[d] = f->nd - 1 - d;
    return new_array_ordered(f->nd, dims, perm, f->descr);
}

PyObject* empty_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
    return make(new_array, entry, args, nargs, kwnames);
}

PyObject* zeros_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
    return make(new_zeroed, entry, args, nargs, kwnames);
}

PyObject* ones_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                      PyObject* kwnames) {
    return make(
        [](int nd, const npy_intp* dims, PyArray_Descr* descr) -> PyObject* {
            Element one;
            store_one(*active().table, dtype_of(descr), one);
            return filled(new_array(nd, dims, descr), one);
        },
        entry, args, nargs, kwnames);
}

PyObject* full_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                      PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!full_signature.parse(args, nargs, kwnames, slots) || !slots[1] || !is_c_order(slots[3]))
        return decline(Why::keyword);
    int nd;
    npy_intp dims[NPY_MAXDIMS];
    if (!parse_new_shape(slots[0], &nd, dims)) return decline(Why::shape);
    PyArray_Descr* descr = is_none(slots[2]) ? dtype_of_scalar(slots[1]) : parse_dtype(slots[2]);
    if (!descr) return PyErr_Occurred() ? nullptr : decline(Why::type);
    Element element;
    if (!scalar_element(slots[1], dtype_of(descr), element)) return decline(Why::value);
    return counted(entry, filled(new_array(nd, dims, descr), element));
}

PyObject* like_native(int which, Entry* entry, PyObject* self, PyObject* const* args,
                      Py_ssize_t nargs, PyObject* kwnames) {
    const Table* const table = active().table;
    if (!table) return decline(Why::disabled);
    if (!is_exact(self)) return decline(Why::type);
    auto const filling = static_cast<Filling>(which);
    bool const given = filling == Filling::value;
    PyObject* slots[max_parameters];
    if (!(given ? full_like_signature : like_signature).parse(args, nargs, kwnames, slots) ||
        (given && !slots[0]))
        return decline(Why::keyword);
    PyObject *const dtype = slots[given], *const order = slots[given + 1];
    Order wanted = Order::keep;
    bool subok;
    if (!parse_order(order, &wanted) || (wanted != Order::c && wanted != Order::keep) ||
        !parse_flag(slots[given + 2], &subok))
        return decline(Why::keyword);
    Fields const* f = fields(self);
    PyArray_Descr* descr = f->descr;
    if (!parse_dtype(dtype, &descr)) return nullptr;
    DType const t = dtype_of(descr);
    bool const has_kernels = t != no_dtype && descr_of_num[descr->type_num] == descr;
    // An empty array, and zeros, of any elements that are bytes.
    if (!has_kernels && (filling >= Filling::ones || !is_movable(descr)))
        return decline(Why::dtype);
    Element element;
    if (given && !scalar_element(slots[0], t, element)) return decline(Why::value);
    if (filling == Filling::ones) store_one(*table, t, element);
    bool const c_order = wanted == Order::c || f->flags & NPY_ARRAY_C_CONTIGUOUS;
    PyObject* out;
    if (c_order) {
        out = filling == Filling::zeros ? new_zeroed(f->nd, f->dimensions, descr)
                                        : new_array(f->nd, f->dimensions, descr);
    } else {
        int perm[NPY_MAXDIMS];
        stride_order(f, perm);
        out = new_array_ordered(f->nd, f->dimensions, perm, descr);
    }
    if (out && filling == Filling::zeros && !c_order)
        std::memset(fields(out)->data, 0,
                    static_cast<size_t>(count_of(fields(out)) * PyDataType_ELSIZE(descr)));
    return counted(entry, filling >= Filling::ones ? filled(out, element) : out);
}

PyObject* eye_native(int which, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                     PyObject* kwnames) {
    const Table* const table = active().table;
    if (!table) return decline(Why::disabled);
    PyObject* slots[max_parameters] = {};
    bool const identity = which == 1;
    if (!(identity ? identity_signature : eye_signature).parse(args, nargs, kwnames, slots))
        return decline(Why::keyword);
    npy_intp rows, columns, k = 0;
    if (!slots[0] || !parse_integer(slots[0], &rows)) return decline(Why::shape);
    columns = rows;
    if (!identity && ((!is_none(slots[1]) && !parse_integer(slots[1], &columns)) ||
                      (slots[2] && !parse_integer(slots[2], &k)) || !is_c_order(slots[4])))
        return decline(Why::keyword);
    if (rows < 0 || columns < 0 || k <= -rows || k >= columns) return decline(Why::shape);
    PyArray_Descr* const descr = parse_dtype(slots[identity ? 1 : 3]);
    if (!descr) return nullptr;
    npy_intp const dims[2] = {rows, columns};
    PyObject* out = new_zeroed(2, dims, descr);
    if (!out) return nullptr;
    DType const t = dtype_of(descr);
    npy_intp const size = item_size(t);
    npy_intp const down = k < 0 ? -k : 0, across = k > 0 ? k : 0;
    npy_intp const n = rows - down < columns - across ? rows - down : columns - across;
    Element one;
    store_one(*table, t, one);
    repeat(*table, t, one, fields(out)->data + (down * columns + across) * size, n,
           (columns + 1) * size);
    return counted(entry, out);
}

// NumPy stores start and start + step, and continues with their difference (PyArray_ArangeObj). The
// arguments that are taken here have exact differences in double, so the length is NumPy's, too.
PyObject* arange_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                        PyObject* kwnames) {
    const Table* const table = active().table;
    if (!table) return decline(Why::disabled);
    PyObject* dtype = nullptr;
    if (kwnames) {
        if (PyTuple_GET_SIZE(kwnames) != 1 ||
            PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(kwnames, 0), "dtype") != 0)
            return decline(Why::keyword);
        dtype = args[nargs];
    }
    if (nargs < 1 || nargs > 3) return decline(Why::keyword);
    constexpr npy_intp exact = npy_intp{1} << 53;
    npy_intp whole[3] = {0, 0, 1};  // start, stop, step
    double real[3] = {0, 0, 1};
    bool integers = true;
    for (Py_ssize_t i = 0; i < nargs; ++i) {
        Py_ssize_t const place = nargs == 1 ? 1 : i;
        if (PyFloat_CheckExact(args[i])) {
            real[place] = PyFloat_AS_DOUBLE(args[i]);
            integers = false;
        } else if (!parse_integer(args[i], &whole[place]) || whole[place] > exact / 2 ||
                   whole[place] < -exact / 2) {
            return decline(Why::type);
        } else {
            real[place] = static_cast<double>(whole[place]);
        }
    }
    double const distance = real[1] - real[0], length = std::ceil(distance / real[2]);
    if (real[2] == 0 || !std::isfinite(length) || length > static_cast<double>(exact) ||
        !std::isfinite(real[0] + real[2]) || (distance != 0 && distance / real[2] == 0))
        return decline(Why::value);
    PyArray_Descr* descr = descr_of(integers ? DType::int64 : DType::float64);
    if (!parse_dtype(dtype, &descr)) return nullptr;
    DType const t = dtype_of(descr);
    // The first two elements are converted one by one; other mixes may lose something there.
    if (t != DType::float64 && !(integers && t == DType::int64)) return decline(Why::dtype);
    npy_intp const n = length > 0 ? static_cast<npy_intp>(length) : 0;
    PyObject* out = new_array(1, &n, descr);
    if (!out) return nullptr;
    char* const to = fields(out)->data;
    if (t == DType::int64) {
        table->arange[index(t)](&whole[0], &whole[2], to, n);
    } else {
        double const second = real[0] + real[2], step = second - real[0];
        table->arange[index(t)](&real[0], &step, to, n);
        if (n > 0) std::memcpy(to, &real[0], sizeof second);  // -0.0 + 0 would be 0.0
        if (n > 1) std::memcpy(to + sizeof second, &second, sizeof second);
    }
    return counted(entry, out);
}

// numpy._core.function_base.linspace: arange(num) * step + start, the last element set to stop.
PyObject* linspace_native(int, Entry* entry, PyObject*, PyObject* const* args, Py_ssize_t nargs,
                          PyObject* kwnames) {
    const Table* const table = active().table;
    if (!table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!linspace_signature.parse(args, nargs, kwnames, slots) || !slots[0] || !slots[1])
        return decline(Why::keyword);
    npy_intp num = 50, axis = 0;
    bool endpoint = true;
    if ((slots[2] && !parse_integer(slots[2], &num)) ||
        (slots[3] && !parse_flag(slots[3], &endpoint)) || (slots[4] && slots[4] != Py_False) ||
        (slots[6] && !parse_integer(slots[6], &axis)) || axis)
        return decline(Why::keyword);
    PyArray_Descr* const descr = parse_dtype(slots[5]);
    if (!descr) return nullptr;
    DType const t = dtype_of(descr);
    if (!is_floating(t)) return decline(Why::dtype);
    double ends[2];
    for (int i = 0; i < 2; ++i) {
        npy_intp whole;
        if (PyFloat_Check(slots[i]) &&
            (PyFloat_CheckExact(slots[i]) || Py_IS_TYPE(slots[i], &PyDoubleArrType_Type)))
            ends[i] = PyFloat_AS_DOUBLE(slots[i]);
        else if (parse_integer(slots[i], &whole))
            ends[i] = static_cast<double>(whole);
        else
            return decline(Why::type);
        // No overflow and no underflow on the way, so nothing to warn of.
        if (!(std::fabs(ends[i]) < 1e300)) return decline(Why::value);
    }
    npy_intp const intervals = endpoint ? num - 1 : num;
    if (intervals < 1) return decline(Why::value);
    double const step = (ends[1] - ends[0]) / static_cast<double>(intervals);
    if (!(std::fabs(step) > 1e-290)) return decline(Why::value);
    PyObject* out = new_array(1, &num, descr_of(DType::float64));
    if (!out) return nullptr;
    char* const to = fields(out)->data;
    table->arange[index(DType::float64)](&ends[0], &step, to, num);
    if (endpoint) std::memcpy(to + (num - 1) * npy_intp{sizeof(double)}, &ends[1], sizeof(double));
    if (t != DType::float64) {
        PyObject* const other = converted(out, descr, Order::c);
        Py_DECREF(out);
        return counted(entry, other);
    }
    // NumPy's is a view, of the arange that it reshaped.
    Fields const* f = fields(out);
    PyObject* view = new_view(out, 1, f->dimensions, f->strides, f->data, descr);
    Py_DECREF(out);
    return counted(entry, view);
}

}  // namespace raptors
