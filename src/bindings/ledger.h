// The ledger: which call ran natively, which went to NumPy and why.
#pragma once
#include "array.h"

#include "policy.h"

namespace raptors {

// Why a call went to NumPy.
enum class Why : uint8_t {
    none,
    disabled,  // RAPTORS_DISABLE
    borrowed,  // NumPy serves this name
    type,      // an operand that is no exact array, scalar or number
    dtype,     // a dtype, or a mix of them, without kernels
    keyword,   // a keyword that only NumPy handles
    overlap,   // an output that overlaps an input
    shape,     // shapes that do not broadcast, bad axes, empty extremes: NumPy's error
    value,     // a scalar that does not fit, a floating-point event in a cast
    index,     // advanced indexing
    loop,      // no kernel: NumPy's loop, which our frame calls
    count
};
enum class Layout : uint8_t { contiguous, scalar, strided, count };

constexpr int n_whys = static_cast<int>(Why::count);
constexpr int n_layouts = static_cast<int>(Layout::count);

// Counters of one function. Native calls by dtype and layout, NumPy's by reason and dtype (the last
// one: any other dtype).
struct Entry {
    const char* name;
    uint64_t native[n_dtypes][n_layouts];
    uint64_t blas[n_dtypes];  // of the native calls, those in which the BLAS library worked
    uint64_t numpy[n_whys][n_dtypes + 1];
};
Entry* new_entry(const char* name);  // lives as long as the process; one per name

// Who did a product of matrices of floats, and the numbers that decided.
struct Offload {
    const char* policy;  // nullptr: the operation is no such product
    bool blas;
    double multiplications, blas_from;
};

struct LastDispatch {
    const Entry* entry;
    int nd;
    npy_intp shape[8];
    DType dtype;
    Layout layout;
    Why why;
    Isa isa;
    uint16_t threads;
    uint16_t next_threads;  // of the call that is about to be counted
    Offload offload;
};
extern constinit thread_local LastDispatch last_dispatch __attribute__((tls_model("initial-exec")));

inline void count_native(Entry* e, DType t, Layout layout, int nd, const npy_intp* dims) {
    ++e->native[index(t)][static_cast<int>(layout)];
    LastDispatch& last = last_dispatch;
    last.entry = e;
    last.nd = nd;
    for (int i = 0; i < nd && i < 8; ++i) last.shape[i] = dims[i];
    last.dtype = t;
    last.layout = layout;
    last.why = Why::none;
    last.isa = active().isa;
    last.threads = last.next_threads;
    last.next_threads = 1;
    last.offload.policy = nullptr;
}

// What the call just counted was, besides.
inline void count_offload(Entry* e, DType t, const Offload& offload) {
    e->blas[index(t)] += offload.blas;
    last_dispatch.offload = offload;
}

inline Layout layout_of(const Fields* f) {
    return f->flags & NPY_ARRAY_C_CONTIGUOUS ? Layout::contiguous : Layout::strided;
}

// Counts a call by its result and hands that on (views and identities: dtypes without kernels have
// no column). nullptr stays nullptr.
inline PyObject* counted(Entry* e, PyObject* out) {
    if (!out) return nullptr;
    Fields const* f = fields(out);
    DType const t = dtype_of(f->descr);
    if (t != no_dtype) count_native(e, t, layout_of(f), f->nd, f->dimensions);
    return out;
}

// Set by native code that declines a call (returns nullptr without an error): why.
extern Why declined;
inline PyObject* decline(Why why) {
    declined = why;
    return nullptr;
}

// A call that goes to NumPy; `operand` (may be null) tells dtype and shape if it is an array.
void count_numpy(Entry* e, Why why, PyObject* operand);

pybind11::list report_rows();  // a dict for each function, dtype and reason
void reset_report();
pybind11::object explain_last_dispatch();

}  // namespace raptors
