// A call of a reduction: what its parts, and what is made of several, say to each other.
#pragma once
#include <cmath>
#include <cstring>

#include "api/table.h"
#include "frame/fp/fpstatus.h"
#include "frame/threads/work_split.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"

namespace raptors {

enum ReduceParameter {
    p_axis,
    p_dtype,
    p_out,
    p_keepdims,
    p_initial,
    p_where,
    p_ddof,
    p_mean,
    p_correction,
    p_ord,
    n_parameters
};

// What squares are taken of: differences from this, with stride 0 along the reduced axes.
struct Centre {
    char* data;
    npy_intp strides[NPY_MAXDIMS];
};

// dtype of the kernel's inputs, its output, and the result that the caller sees.
struct ReduceTypes {
    DType kernel, accumulator, result;  // no_dtype: declined
    int result_num;                     // -1: the input's own
};

struct ReduceCall {
    ReductionSteps steps;
    const ReduceTypes* types;  // by the input's dtype, where no other is given
    PyObject* given[n_parameters];
    const Centre* centre;  // nullptr: the elements themselves are combined

    Combine combine() const { return steps.combine; }
    const CombineInfo& info() const { return combine_info[index(steps.combine)]; }
    bool divides() const { return steps.finish.has(Finish::DIVIDE); }
    bool computes() const { return (steps.finish.steps & (Finish::DIVIDE | Finish::ROOT)) != 0; }
    bool is_of_several() const {
        return steps.map.kind >= Map::SQUARE || steps.finish.has(Finish::MINUS);
    }
    ReduceFn kernel(const Table& table, DType t) const {
        return centre ? table.deviation[index(t)] : table.reduce[index(combine())][index(t)];
    }
    // Whether floating-point status goes to errstate: where results are rounded.
    bool reports(DType t) const { return !info().exact && is_inexact(t); }
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
extern ReduceTypes function_types[n_reductions][n_dtypes], combine_types[n_combines][n_dtypes];
inline ReduceCall calling(Reduction row) {
    return {reduction_info[index(row)].steps, function_types[index(row)], {}, nullptr};
}
// The combining alone: ufunc.reduce.
inline ReduceCall combining(Combine combine) {
    return {
        {{Map::ELEMENTS}, combine, {Finish::NOTHING}}, combine_types[index(combine)], {}, nullptr};
}

// nullptr without an error: declined.
PyObject* reduce(Entry* entry, PyObject* self, const ReduceCall& call);
// What ufunc.reduce is counted as.
Entry* entry_of(Combine combine);

// ---- dtypes and their elements (reduce_types.cpp)

// With dtype=. False: declined, or an error is set.
bool resolve_given(const ReduceCall& call, DType t, ReduceTypes* types);
inline bool resolve_types(const ReduceCall& call, PyArray_Descr* descr, DType t,
                          ReduceTypes* types) {
    if (!is_none(call.given[p_dtype])) [[unlikely]]
        return resolve_given(call, t, types);
    *types = call.types[index(t)];
    if (types->result_num < 0) types->result_num = descr->type_num;
    return types->kernel != no_dtype;
}

// An element of dtype t that leaves the reduction as it is, as NumPy's ufunc has it; false: there
// is none.
extern Element identities[n_combines][n_dtypes];
inline bool identity(Combine combine, DType t, Element& element) {
    element = identities[index(combine)][index(t)];
    return combine_info[index(combine)].identity != CombineInfo::NONE;
}
// Types without dtype=, and identities.
void init_reduce_types();

Joining joining_of(const Table& table, Combine combine, const ReduceTypes& types);

// What becomes of a sum. It is divided by n as NumPy divides: in float64, rounded to the sum's
// dtype.
inline void finish_element(char* element, DType t, const Finish& finish, double n) {
    with_type(t, [&](auto tag) {
        using T = typename decltype(tag)::type;
        if constexpr (std::is_floating_point_v<T>) {
            T value;
            std::memcpy(&value, element, sizeof value);
            if (finish.has(Finish::DIVIDE)) value = static_cast<T>(static_cast<double>(value) / n);
            if (finish.has(Finish::ROOT)) value = std::sqrt(value);
            store(element, value);
        }
    });
}
// Same for a result array. False: out of memory.
bool finish_array(const Table& table, Fields* f, DType t, const Finish& finish, double n);
// Whether NumPy warns of NaNs among the results of a nest. False in `done`: out of memory.
bool any_nan(const Table& table, DType t, const Nest& nest, bool* done);

// ---- outputs (reduce_output.cpp)

// Whether `out` can take a result of this shape and dtype in place; Why::none if so.
Why judge_output(PyObject* out, const Fields* f, int nd, const npy_intp* dims, DType result);

// The input and, with stride 0 along the reduced axes, the result: `out`, or one element.
Nest reduce_nest(const Fields* f, const bool* reduced, bool keepdims, PyObject* out, char* element);

// A new result: its axes lie in the input's order, as in NumPy's, or (`copied`) in that of its
// copy. `perm`: that order.
PyObject* new_output(const Fields* f, bool copied, const bool* reduced, bool keepdims,
                     const npy_intp* mask_strides, const ReduceTypes& types, int* perm);

// Whether NumPy must not write a reduction in `loop` to `out`, an array of objects; if so, a
// TypeError is set. `identity`: PyUFunc_Zero, PyUFunc_One (or another number) or PyUFunc_None.
bool refuses_object_output(PyObject* out, PyArray_Descr* loop, int identity, PyObject* initial);
// The same; `dtype` means the loop's.
bool refuses_object_output_of(PyObject* out, PyObject* dtype, int identity, PyObject* initial);

// ---- argmin and its kin (arg_reduce.cpp)
PyObject* arg_reduce(Entry* entry, PyObject* self, DType t, const ReduceCall& call);

// ---- rows that are made of several (statistics.cpp)
PyObject* reduce_by_several(Entry* entry, PyObject* self, const ReduceCall& call, bool is_function);
// Sums of complex numbers, by their real and imaginary parts.
PyObject* sum_of_parts(Entry* entry, PyObject* self, const ReduceCall& call);

}  // namespace raptors
