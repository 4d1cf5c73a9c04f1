// The call log: which call ran natively, which went to NumPy and why.
#pragma once
#include "python/array.h"

#include "runtime/isa_choice.h"

namespace raptors {

// Why a call went to NumPy.
enum class Why : uint8_t {
    none,
    disabled,  // RAPTORS_DISABLE
    borrowed,  // NumPy serves this name, or form of a call: the reason of its row
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

const char* text_of(Why why);

constexpr int n_whys = static_cast<int>(Why::count);
constexpr int n_layouts = static_cast<int>(Layout::count);

// What dtypes are counted as: those with kernels as themselves, the others by kind.
enum class Column : uint8_t {
#define DTYPE(id, ...) of_##id,
#include "tables/dtypes.def"
    float16,
    longdouble,
    complex64,
    complex128,
    clongdouble,
    object,
    bytes,
    str,
    structured,  // void
    datetime64,
    timedelta64,
    string,  // StringDType
    other,   // of other packages
    none,    // a call without arrays
    count
};
constexpr int n_columns = static_cast<int>(Column::count);
inline size_t index(Column c) { return static_cast<size_t>(c); }
Column column_without_kernels(PyArray_Descr* descr);
inline Column column_of(PyArray_Descr* descr) {
    DType const t = dtype_of(descr);
    return t == no_dtype ? column_without_kernels(descr) : static_cast<Column>(t);
}

// Counters of one function. Native calls by dtype and layout, NumPy's by reason and dtype: those
// are there (zeros, n_whys * n_columns) from the first such call on.
struct Entry {
    const char* name;
    const char* reason;  // why NumPy serves the function; nullptr: nothing but that it does
    uint64_t native[n_columns][n_layouts];
    uint64_t blas[n_columns];  // of the native calls, those in which the BLAS library worked
    uint64_t* numpy;
};
// Lives as long as the process; one per name, with the first reason that is given for it.
Entry* new_entry(const char* name, const char* reason = nullptr);

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
    Column dtype;
    Layout layout;
    Why why;
    Isa isa;
    uint16_t threads;
    uint16_t next_threads;  // of the call that is about to be counted
    Offload offload;
};
extern constinit thread_local LastDispatch last_dispatch __attribute__((tls_model("initial-exec")));

// Of one and two axes without a loop, which the compiler would unroll in every caller.
inline void set_shape(LastDispatch& last, int nd, const npy_intp* dims) {
    last.nd = nd;
    if (nd > 0) last.shape[0] = dims[0];
    if (nd > 1) last.shape[1] = dims[1];
    if (nd > 2) [[unlikely]]
        for (int i = 2; i < nd && i < 8; ++i) last.shape[i] = dims[i];
}

inline void count_native(Entry* e, Column c, Layout layout, int nd, const npy_intp* dims) {
    ++e->native[index(c)][static_cast<int>(layout)];
    LastDispatch& last = last_dispatch;
    last.entry = e;
    set_shape(last, nd, dims);
    last.dtype = c;
    last.layout = layout;
    last.why = Why::none;
    last.isa = active().isa;
    last.threads = last.next_threads;
    last.next_threads = 1;
    last.offload.policy = nullptr;
}

inline void count_native(Entry* e, DType t, Layout layout, int nd, const npy_intp* dims) {
    count_native(e, static_cast<Column>(t), layout, nd, dims);
}

// What the call just counted was, besides.
inline void count_offload(Entry* e, const Offload& offload) {
    e->blas[index(last_dispatch.dtype)] += offload.blas;
    last_dispatch.offload = offload;
}

inline Layout layout_of(const Fields* f) {
    return f->flags & NPY_ARRAY_C_CONTIGUOUS ? Layout::contiguous : Layout::strided;
}

// A call is counted by its array.
inline void count_native(Entry* e, const Fields* f) {
    count_native(e, column_of(f->descr), layout_of(f), f->nd, f->dimensions);
}

// Counts a call by its result and hands that on. nullptr stays nullptr.
inline PyObject* counted(Entry* e, PyObject* out) {
    if (!out) return nullptr;
    count_native(e, fields(out));
    return out;
}

// Set by native code that declines a call (returns nullptr without an error): why.
extern Why declined;
inline PyObject* decline(Why why) {
    declined = why;
    return nullptr;
}
inline bool refuse(Why why) {  // the same in a step of such a call
    declined = why;
    return false;
}

// A call that goes to NumPy; `operand` (may be null) tells dtype and shape if it is an array, the
// dtype if it is one of NumPy's scalars.
void count_numpy(Entry* e, Why why, PyObject* operand);

// The first array among the arguments, or at the head of a tuple or list there; nullptr: none.
PyObject* first_array(PyObject* const* args, Py_ssize_t n);

// body(), a call that goes to NumPy because of `declined`, counted by its first array (`operand`),
// or where it has none (nullptr) by its result.
template <class Body>
PyObject* counted_numpy(Entry* e, PyObject* operand, const Body& body) {
    Why const why = declined;
    if (operand) count_numpy(e, why, operand);
    PyObject* const out = body();
    if (!operand) count_numpy(e, why, out && PyTuple_Check(out) ? first_array(&out, 1) : out);
    return out;
}

pybind11::list report_rows();  // a dict for each function, dtype and reason
void reset_report();
pybind11::object explain_last_dispatch();

}  // namespace raptors
