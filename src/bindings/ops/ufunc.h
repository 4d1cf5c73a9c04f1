// What raptors knows of a ufunc: its kernels, ours and NumPy's, and which of them takes operands of
// which dtypes.
#pragma once
#include <unordered_map>

#include "api/elementwise.h"
#include "python/operand.h"
#include "python/signature.h"

namespace raptors {

// What is run for operands of some dtypes.
struct Resolution {
    Op op = Op::count;
    DType loop = no_dtype;  // of our row's kernel; no_dtype: it has none
    PyArray_Descr* results[max_outputs] = {};

    // Ours or NumPy's; none: NumPy has to be called.
    const Kernel& kernel(const ElementwiseTable& table) const {
        if (loop != no_dtype && table_ != &table) [[unlikely]] {
            table_ = &table;
            kernel_ = kernel_of(table, op, loop);
        }
        return kernel_;
    }
    void set_numpy_kernel(const Kernel& kernel) { kernel_ = kernel; }

private:
    mutable const ElementwiseTable* table_ = nullptr;  // whose kernel it is
    mutable Kernel kernel_;
};

struct Ufunc {
    const char* name = nullptr;
    int inputs = 0, outputs = 0;
    Op op = Op::count;          // the row of ops.def; count: there is none
    int reduction = 0;          // the Combine that ufunc.reduce is; n_combines: there is none
    int scan = 0;               // what ufunc.accumulate is in scans.def; n_scans: no row
    PyObject* numpy = nullptr;  // nullptr: a function that is no ufunc, such as where
    Entry* entry = nullptr;
    bool elementwise = false;
    Native native = nullptr;  // of those on matrices

    // The dtypes by the codes of the operands; dtype_num is that of dtype=, or -1. Asked of NumPy
    // once.
    const Resolution& resolve(const Operand* x, int dtype_num);

private:
    Resolution ask_numpy(const int* codes, int dtype_num) const;
    std::unordered_map<uint32_t, Resolution> known_;
    uint32_t last_key_ = 0;  // no key is 0
    const Resolution* last_ = nullptr;
};

// Those with rows, by Op.
extern Ufunc op_ufuncs[n_ops];
inline Ufunc& ufunc_of(Op op) { return op_ufuncs[static_cast<size_t>(op)]; }

// By NumPy's object; nullptr: not of NumPy's namespace.
Ufunc* find_ufunc(PyObject* numpy_ufunc);
// The same, registered if it is a ufunc of NumPy's namespace that was not met before.
Ufunc& register_ufunc(PyObject* numpy_ufunc);

// Those of operators and methods that have no row of their own.
struct OperatorUfuncs {
    Ufunc *floor_divide, *remainder, *divmod, *power, *conjugate;
};
extern OperatorUfuncs operator_ufuncs;

void init_ufuncs();

}  // namespace raptors
