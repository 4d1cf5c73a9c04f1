// Elementwise kernels: ops.def, read at compile time and as data.
#pragma once
#include "api/block.h"

namespace raptors {

// In the order of ops.def and, at its end, math.def.
enum class Op : uint8_t {
#define UNARY(name, ...) name,
#define BINARY(name, ...) name,
#define TERNARY(name, ...) name,
#define MATH1(name, ...) name,
#include "tables/ops.def"
    count
};

constexpr int n_ops = static_cast<int>(Op::count);

// n elements of an array by their indices, which may repeat, and as many values; `step` and
// `values_step` are bytes. Indices are in range, those below 0 counted from the end.
struct AtBlock {
    char* array;
    ptrdiff_t step;
    int64_t length;
    const int64_t* indices;
    ptrdiff_t n;
    const char* values;
    ptrdiff_t values_step;
};
// Each element becomes element (op) value, one after the other.
using AtFn = void (*)(const AtBlock&) noexcept;

// A null entry, here and in the other tables: no kernel for that dtype.
struct ElementwiseTable {
    KernelFn elementwise[n_ops][n_dtypes];  // by the loop's dtype T
    KernelFn product[n_dtypes];             // floats: x * y + 0.0
    AtFn at[n_ops][n_dtypes];               // of rows "TT->T"
};

// What sets a row apart; ops.def says what each means.
enum Trait : uint8_t { PLAIN = 0, INTEGER_EVENTS = 1, KEYWORD_OUT = 2, INT64_INTS = 4 };

// Nanoseconds for an element of at most 4 bytes, and of 8 or more, beyond what moving it takes.
struct Cost {
    float narrow, wide;
};

// How far results are from the true value. All is 0 where they are NumPy's, bit by bit.
struct Accuracy {
    double ulp32 = 0, ulp64 = 0;  // bounds of the error, in units in the last place
    double low = 0, high = 0;     // where float64 results are neither zero nor infinite nor NaN
    bool exact() const { return ulp64 == 0; }
};

struct OpInfo {
    const char* name;
    const char* signature;  // "TT->?"
    uint8_t inputs, outputs;
    char letters[max_arguments];  // the signature's, inputs first
    char uniform;        // the one output's letter where all inputs have the kernel's dtype; else 0
    uint32_t types;      // bit per DType that has a kernel
    uint32_t reporting;  // of those, whose floating-point status goes to errstate
    uint8_t traits;
    Accuracy accuracy;
    Cost cost;
    const char* doc;

    bool has(Trait trait) const noexcept { return (traits & trait) != 0; }
    bool reports(DType t) const noexcept { return (reporting >> static_cast<int>(t) & 1U) != 0; }
};
extern const OpInfo op_info[n_ops];

// The dtype of an argument of op's kernel for the loop's dtype t; inputs first, then outputs.
DType argument_dtype(Op op, int argument, DType t) noexcept;
// .function is nullptr where there is none.
Kernel kernel_of(const ElementwiseTable& table, Op op, DType t) noexcept;

struct AliasInfo {
    const char* name;
    Op op;
};
extern const AliasInfo alias_info[];
extern const int n_aliases;

}  // namespace raptors
