#include "creation.h"

#include "object_cache.h"

namespace raptors {
namespace {

Signature shape_signature = {3, 3, {"shape", "dtype", "order"}, {}};

using Maker = PyObject* (*)(int, const npy_intp*, PyArray_Descr*);
PyObject* make(Maker maker, Entry* entry, PyObject* const* args, Py_ssize_t nargs,
               PyObject* kwnames) {
    if (!active().table) return decline(Why::disabled);
    PyObject* slots[max_parameters];
    if (!shape_signature.parse(args, nargs, kwnames, slots) || !slots[0] || !is_c_order(slots[2]))
        return decline(Why::keyword);
    int nd;
    npy_intp dims[NPY_MAXDIMS];
    if (!parse_shape(slots[0], &nd, dims)) return decline(Why::shape);
    for (int i = 0; i < nd; ++i)
        if (dims[i] < 0) return decline(Why::shape);
    PyArray_Descr* descr = parse_dtype(slots[1]);
    if (!descr) return nullptr;
    PyObject* out = maker(nd, dims, descr);
    if (out) count_native(entry, dtype_of(descr), Layout::contiguous, nd, dims);
    return out;
}

}  // namespace

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
            PyObject* out = new_array(nd, dims, descr);
            if (!out) return nullptr;
            Fields* const f = fields(out);
            DType const t = dtype_of(descr);
            boolean one = static_cast<boolean>(1);
            Block element{}, block{};
            alignas(8) char value[8];
            element.data[0] = reinterpret_cast<char*>(&one);
            element.data[1] = value;
            element.n = element.rows = 1;
            const Table& table = *active().table;
            table.cast[index(DType::boolean)][index(t)](element);
            block.data[0] = value;
            block.data[1] = f->data;
            block.inner[1] = size_of(t);
            block.n = size_of(f);
            block.rows = 1;
            table.cast[index(t)][index(t)](block);
            return out;
        },
        entry, args, nargs, kwnames);
}

}  // namespace raptors
