// Plain structs and enums shared by every layer. No Python, no NumPy, nothing that allocates.
#pragma once
#include <cstddef>
#include <cstdint>

namespace raptors {

// A NumPy boolean: one byte, any value but 0 is true.
enum boolean : uint8_t {};

enum class DType : uint8_t {
#define DTYPE(id, ...) id,
#include "tables/dtypes.def"
    count
};

// Elementwise operations, in the order of ops.def.
enum class Op : uint8_t {
#define UNARY(name, ...) name,
#define BINARY(name, ...) name,
#define TERNARY(name, ...) name,
#include "tables/ops.def"
    count
};

// Reductions, then arg-reductions, in the order of ops.def.
enum class Fold : uint8_t {
#define REDUCE(name, ...) name,
#define ARGREDUCE(name, ...) name,
#include "tables/ops.def"
    count
};

enum class Isa : uint8_t { scalar, avx2, avx512, neon, count };

constexpr int n_dtypes = static_cast<int>(DType::count);
constexpr int n_ops = static_cast<int>(Op::count);
constexpr int n_folds = static_cast<int>(Fold::count);
constexpr int n_isas = static_cast<int>(Isa::count);
constexpr int max_dims = 64;     // NumPy's own limit
constexpr int max_operands = 4;  // three inputs and the output, which comes last

// rows x n elements of every operand; strides in bytes, of any sign; pointers need no alignment.
// The output may be one of the inputs (same pointer, same strides) but must not overlap them
// otherwise.
struct Block {
    char* data[max_operands];
    ptrdiff_t inner[max_operands];
    ptrdiff_t outer[max_operands];
    ptrdiff_t n;
    ptrdiff_t rows;
};
using ElementwiseFn = void (*)(const Block&) noexcept;  // inputs first, then the output
using CastFn = void (*)(const Block&) noexcept;         // data[0] -> data[1]

// `rows` outputs, each folded from n inputs: out[r] = out[r] (op) in[r][0] (op) ... (op)
// in[r][n-1]. The caller sets the outputs beforehand (identity, `initial`, or the first element for
// min and max). For argmin and argmax the outputs are int64 indices in 0..n-1 and are only written;
// n > 0.
struct Reduction {
    const char* in;
    char* out;
    ptrdiff_t n;
    ptrdiff_t in_stride;  // bytes from one element of a fold to the next
    ptrdiff_t rows;
    ptrdiff_t in_row;  // bytes from one fold's first element to the next fold's
    ptrdiff_t out_row;
    const char* centre = nullptr;  // of each fold, for Table::deviation
    ptrdiff_t centre_row = 0;
};
using ReduceFn = void (*)(const Reduction&) noexcept;

// out[i] = first + i * step for n contiguous elements; all of the kernel's dtype.
using RampFn = void (*)(const void* first, const void* step, void* out, ptrdiff_t n) noexcept;

// How many of n booleans are true.
using CountFn = ptrdiff_t (*)(const char* mask, ptrdiff_t n) noexcept;
// Those of n contiguous elements whose boolean is true, `total` of them, one after the other.
using CompressFn = void (*)(const char* mask, const void* in, void* out, ptrdiff_t n,
                            ptrdiff_t total) noexcept;

// Matrix products C (m, n) = A (m, k) B (k, n), strides in bytes and of any sign. C overlaps
// neither A nor B. Elements of floats are added to one another in the same order wherever they lie.

struct Matrices {
    ptrdiff_t m, n, k;
    const char* a;
    ptrdiff_t a_row, a_column;
    const char* b;
    ptrdiff_t b_row, b_column;
    char* c;
    ptrdiff_t c_row, c_column;
};
// Products one after the other: how many, and from the operands of one to those of the next.
struct Series {
    ptrdiff_t count, a, b, c;
};
// A matrix to be packed into panels. One of A holds `rows` of its rows, column by column, one of B
// `columns` of its columns, row by row; what goes beyond the matrix repeats its last row or column,
// so that it raises no floating-point status of its own.
struct Panels {
    const char* from;
    ptrdiff_t row, column;
    ptrdiff_t rows, columns;
    char* to;
};
struct PackedProduct {
    const char *a, *b;
    char* c;
    ptrdiff_t c_row, c_column;
    ptrdiff_t m, n, k;
    bool add;  // to what C holds
};
// y (m) = A (m, k) x (k).
struct MatrixVector {
    const char* a;
    ptrdiff_t a_row, a_column;
    const char* x;
    ptrdiff_t x_step;
    char* y;
    ptrdiff_t y_step;
    ptrdiff_t m, k;
    bool singly;  // best row by row, as one stream; by_rows' bits are the same either way
};
struct Gemm {
    int rows, columns;   // of a tile of C, in registers
    int a_size, b_size;  // bytes of a packed element
    int depth;           // most k of a packed product; bits depend on it, so no cache may decide
    double ns;           // of a multiplication with its addition
    void (*pack_a)(const Panels&) noexcept;
    void (*pack_b)(const Panels&) noexcept;
    // Complex numbers, as pairs of reals (floats only): their panels are those of the real matrices
    // A (m, 2k) and B (2k, 2n), whose product is C (m, 2n). Strides are those of pairs, rows and
    // columns count reals.
    void (*pack_pairs_a)(const Panels&) noexcept;
    void (*pack_pairs_b)(const Panels&) noexcept;
    void (*packed)(const PackedProduct&) noexcept;
    void (*small)(const Matrices&,
                  const Series&) noexcept;  // unit b_column, c_column; nullptr: there is none
    void (*few)(const Matrices&) noexcept;  // unit a_column, b_row, k of a vector or more; as small
    void (*dot)(const MatrixVector&) noexcept;         // m = 1
    void (*by_rows)(const MatrixVector&) noexcept;     // rows of A and x are contiguous
    void (*by_columns)(const MatrixVector&) noexcept;  // best if columns of A are
};

// Equations A X = B with small square matrices A (n, n), n <= most_small, and B (n, columns):
// `count` of them; or as many determinants (without B). Strides in bytes, of any sign.
constexpr int most_small = 8;
struct Equations {
    int n;
    ptrdiff_t columns, count;
    const char* a;
    ptrdiff_t a_row, a_column, a_next;
    const char* b;  // nullptr: the identity
    ptrdiff_t b_row, b_column, b_next;
    char* out;
    ptrdiff_t out_row, out_column, out_next;
};
// False where a result is not to be used: it is not finite, or rounding decides whether a matrix is
// singular. (A determinant is 0 if a column is.) Floats are computed in double: overflow and
// underflow of the last rounding are left to the floating-point status.
using EquationsFn = bool (*)(const Equations&) noexcept;

// The kernels of one ISA. A null entry: no kernel for that dtype.
struct Table {
    ElementwiseFn elementwise[n_ops][n_dtypes];
    ReduceFn reduce[n_folds][n_dtypes];  // by input dtype; the output has accumulator(fold, dtype)
    // Floats: sums of (in - centre)^2, rounded as subtraction, multiplication and the sum are.
    ReduceFn deviation[n_dtypes];
    CastFn cast[n_dtypes][n_dtypes];  // [from][to]; [t][t] copies
    RampFn ramp[n_dtypes];
    CountFn count_true;
    CompressFn compress[4];  // elements of 1, 2, 4 and 8 bytes
    const Gemm* gemm[n_dtypes];
    EquationsFn solve[n_dtypes], determinant[n_dtypes];
    ElementwiseFn term[n_dtypes];  // floats: x * y + 0.0
};

enum class Result : uint8_t { same, boolean };

// What ops.def and dtypes.def say, for readers at run time.
struct OpInfo {
    const char* name;
    int inputs;
    uint32_t types;  // bit per DType that has a kernel
    Result result;
    bool reports;  // floating-point status goes to errstate
    const char* doc;
};
struct FoldInfo {
    const char* name;
    Op ufunc;  // Op::count for argmin and argmax
    uint32_t types;
    bool exact;  // bit-identical to NumPy; otherwise within the bound of pairwise summation
    bool index;  // argmin, argmax
    const char* doc;
};
struct DTypeInfo {
    const char* name;
    char kind;  // 'B' 'I' 'U' 'F'
    int size;
};
struct AliasInfo {
    const char* name;
    Op op;
};

extern const OpInfo op_info[n_ops];
extern const FoldInfo fold_info[n_folds];
extern const DTypeInfo dtype_info[n_dtypes];
extern const AliasInfo alias_info[];
extern const int n_aliases;

// Output dtype of a reduction's kernel for inputs of dtype t.
DType accumulator(Fold fold, DType t) noexcept;

}  // namespace raptors
