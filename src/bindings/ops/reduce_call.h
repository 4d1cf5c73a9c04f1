// A call of a reduction, for what is made of several.
#pragma once
#include <cstring>

#include "api/table.h"
#include "frame/fp/fpstatus.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"

namespace raptors {

enum Parameter { p_axis, p_dtype, p_out, p_keepdims, p_initial, p_where, n_parameters };

// What squares are taken of: differences from this, with stride 0 along the folded axes.
struct Centre {
    char* data;
    npy_intp strides[NPY_MAXDIMS];
};

struct ReduceCall {
    PyObject* given[n_parameters];
    const Centre* centre;  // nullptr: the elements themselves are folded

    ReduceFn kernel(const Table& table, Fold fold, DType t) const {
        return centre ? table.deviation[index(t)] : table.reduce[index(fold)][index(t)];
    }
    // What a sum raised goes to errstate. False: an error is set, or none: deviations are reported
    // step by step, by those who take the steps.
    bool report(int status) const {
        if (!status) return true;
        if (!centre) return report_fp_status("reduce", status) >= 0;
        clear_fp_status();
        declined = Why::value;
        return false;
    }
};

// nullptr without an error: declined.
PyObject* reduce(Reduce what, Entry* entry, PyObject* self, const ReduceCall& call);

// A sum to a mean, as NumPy divides: in float64, rounded to the sum's dtype.
void divide_scalar(char* data, DType t, double n);
// Same for a result array. False: out of memory.
bool divide_array(const Table& table, Fields* f, DType t, double n);

// Whether NumPy must not write a reduction in `dtype` to `out`, an array of objects; if so, a
// TypeError is set. `identity`: PyUFunc_Zero, PyUFunc_One (or another number) or PyUFunc_None.
bool refuses_object_output_of(PyObject* out, PyObject* dtype, int identity, PyObject* initial);

template <class T>
void put(void* element, T value) {
    std::memcpy(element, &value, sizeof value);
}

}  // namespace raptors
