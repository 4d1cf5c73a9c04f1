#include "python/array.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "frame/nest/overlap.h"

namespace raptors {

PyTypeObject* array_type;
DType dtype_of_num[n_type_nums];
PyArray_Descr* descr_of_num[n_type_nums];
int num_of_dtype[n_dtypes];

DType dtype_of_slow(PyArray_Descr* descr) {
    auto const num = static_cast<unsigned>(descr->type_num);
    if (num >= n_type_nums || !PyArray_ISNBO(descr->byteorder) || PyDataType_METADATA(descr) ||
        PyDataType_HASFIELDS(descr))
        return no_dtype;
    return dtype_of_num[num];
}

bool BroadcastShape::add(const Fields* f) {
    if (f->nd > nd) {
        std::copy_backward(dims, dims + nd, dims + f->nd);
        std::fill(dims, dims + f->nd - nd, npy_intp{1});
        nd = f->nd;
    }
    for (int d = 0; d < f->nd; ++d) {
        npy_intp& own = dims[nd - f->nd + d];
        if (own == 1)
            own = f->dimensions[d];
        else if (f->dimensions[d] != 1 && f->dimensions[d] != own)
            return false;
    }
    return true;
}

bool broadcast_strides(const Fields* f, int nd, const npy_intp* dims, npy_intp* strides) {
    int const first = nd - f->nd;
    if (first < 0) return false;
    std::fill(strides, strides + nd, 0);
    for (int d = 0; d < f->nd; ++d) {
        if (f->dimensions[d] == 1) continue;
        if (f->dimensions[d] != dims[first + d]) return false;
        strides[first + d] = f->strides[d];
    }
    return true;
}

bool disjoint(const Fields* f, const Fields* g) {
    if (f != g && f->flags & g->flags & NPY_ARRAY_OWNDATA) return true;
    auto const extent = [](const Fields* x) {
        return extent_of(x->data, x->nd, x->dimensions, x->strides, PyDataType_ELSIZE(x->descr));
    };
    return disjoint(extent(f), extent(g));
}

bool is_injective(const Fields* f) {
    return !count_of(f) ||
           is_injective(f->nd, f->dimensions, f->strides, PyDataType_ELSIZE(f->descr));
}

bool quiet_cast(DType from, DType to) {
    if (from == to || to == DType::boolean) return true;
    if (is_complex(from) && !is_complex(to)) return false;
    DType const part = real_part(to);
    if (is_inexact(from)) return is_floating(part) && item_size(part) >= item_size(real_part(from));
    // Half precision does not hold 2^16 - 1.
    int const bits = 8 * item_size(from) - (kind_of(from) == 'I');
    return computed(part) == part || bits < 16;
}

void init_dtypes() {
    for (auto& t : dtype_of_num) t = no_dtype;
    // By kind and size, so that long and longlong (or int and long) find the same kernels.
    for (int num = 0; num < n_type_nums; ++num) {
        PyArray_Descr* d = PyArray_DescrFromType(num);
        if (!d) {
            PyErr_Clear();
            continue;
        }
        char const kind = static_cast<char>(std::toupper(d->kind));
        for (int t = 0; t < n_dtypes; ++t)
            if (dtype_info[t].kind == kind && dtype_info[t].size == PyDataType_ELSIZE(d)) {
                dtype_of_num[num] = static_cast<DType>(t);
                descr_of_num[num] = d;  // kept for the life of the process
                Py_INCREF(d);
            }
        Py_DECREF(d);
    }
    for (int t = 0; t < n_dtypes; ++t) {
        auto const name = pybind11::str(dtype_info[t].name);
        PyArray_Descr* d = nullptr;
        if (!PyArray_DescrConverter(name.ptr(), &d)) throw pybind11::error_already_set();
        num_of_dtype[t] = d->type_num;
        Py_DECREF(d);
    }
}

}  // namespace raptors
