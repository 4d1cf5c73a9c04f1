// What every layer knows: dtypes, instruction sets, limits. Plain structs and
// enums; no Python, no NumPy, nothing that allocates.
#pragma once
#include <cstddef>
#include <cstdint>

namespace raptors {

// A NumPy boolean: one byte, any value but 0 is true.
enum boolean : uint8_t {};
// IEEE binary16, which is stored and not computed in.
struct half {
    uint16_t bits;
};
// At any address.
template <class R>
struct __attribute__((packed, may_alias)) complex {
    R re, im;
};

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
    char kind;  // 'B' 'I' 'U' 'F' 'C'
    int size;
    DType computes, real;
};
extern const DTypeInfo dtype_info[n_dtypes];
inline int item_size(DType t) noexcept { return dtype_info[static_cast<int>(t)].size; }
inline char kind_of(DType t) noexcept { return dtype_info[static_cast<int>(t)].kind; }
inline bool is_floating(DType t) noexcept { return kind_of(t) == 'F'; }
inline bool is_complex(DType t) noexcept { return kind_of(t) == 'C'; }
// The dtype in which kernels compute, and that of the real part.
inline DType computed(DType t) noexcept { return dtype_info[static_cast<int>(t)].computes; }
inline DType real_part(DType t) noexcept { return dtype_info[static_cast<int>(t)].real; }
// Floating or complex: computing may round and raise floating-point status.
inline bool is_inexact(DType t) noexcept { return kind_of(t) == 'F' || kind_of(t) == 'C'; }

// Room for one element of any dtype.
struct alignas(16) Element {
    char bytes[16];
    operator char*() noexcept { return bytes; }              // NOLINT(google-explicit-constructor)
    operator const char*() const noexcept { return bytes; }  // NOLINT(google-explicit-constructor)
};

// f(TypeTag<C type>()) for the C type of a dtype.
template <class T>
struct TypeTag {
    using type = T;
};
template <class F>
inline auto with_type(DType t, const F& f) {
    switch (t) {
#define DTYPE(id, type, ...) \
    case DType::id:          \
        return f(TypeTag<type>());
#include "tables/dtypes.def"
        default:
            return f(TypeTag<boolean>());
    }
}

}  // namespace raptors
