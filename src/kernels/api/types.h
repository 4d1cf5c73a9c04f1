// What every layer knows: dtypes, instruction sets, limits. Plain structs and
// enums; no Python, no NumPy, nothing that allocates.
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

enum class Isa : uint8_t { scalar, avx2, avx512, neon, count };

constexpr int n_dtypes = static_cast<int>(DType::count);
constexpr int n_isas = static_cast<int>(Isa::count);
constexpr int max_dims = 64;  // NumPy's own limit

struct DTypeInfo {
    const char* name;
    char kind;  // 'B' 'I' 'U' 'F'
    int size;
};
extern const DTypeInfo dtype_info[n_dtypes];

}  // namespace raptors
