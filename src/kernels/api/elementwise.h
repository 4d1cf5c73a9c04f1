// Elementwise kernels: ops.def, read at compile time and as data.
#pragma once
#include "api/block.h"

namespace raptors {

// In the order of ops.def.
enum class Op : uint8_t {
#define UNARY(name, ...) name,
#define BINARY(name, ...) name,
#define TERNARY(name, ...) name,
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

struct OpInfo {
    const char* name;
    int inputs;
    uint32_t types;  // bit per DType that has a kernel
    Result result;
    bool reports;  // floating-point status goes to errstate
    const char* doc;
};
extern const OpInfo op_info[n_ops];

struct AliasInfo {
    const char* name;
    Op op;
};
extern const AliasInfo alias_info[];
extern const int n_aliases;

}  // namespace raptors
