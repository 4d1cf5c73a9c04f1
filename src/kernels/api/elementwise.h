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

// A null entry, here and in the other tables: no kernel for that dtype.
struct ElementwiseTable {
    BlockFn elementwise[n_ops][n_dtypes];
    BlockFn term[n_dtypes];  // floats: x * y + 0.0
};

enum class Result : uint8_t { same, boolean };

// What a row of math.def promises; of other rows all is 0: their results are exact.
struct Accuracy {
    double ulp32 = 0, ulp64 = 0;  // bounds of the error, in units in the last place
    double low = 0, high = 0;     // where float64 results are neither zero nor infinite nor NaN
    bool exact() const { return ulp64 == 0; }
};

struct OpInfo {
    const char* name;
    int inputs;
    uint32_t types;  // bit per DType that has a kernel
    Result result;
    bool reports;  // floating-point status goes to errstate
    const char* doc;
    Accuracy accuracy = {};
};
extern const OpInfo op_info[n_ops];

struct AliasInfo {
    const char* name;
    Op op;
};
extern const AliasInfo alias_info[];
extern const int n_aliases;

}  // namespace raptors
