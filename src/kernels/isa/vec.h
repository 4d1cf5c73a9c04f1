// The vector vocabulary: Vec<T> is one register of this ISA, on GCC/Clang vector extensions.
// Arithmetic, comparisons (an integer mask per lane) and `mask ? a : b` are the compiler's.
// Internal linkage throughout: code of one ISA must never be shared with another.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "api/types.h"

#define RAPTORS_INLINE inline __attribute__((always_inline))

// Loops over the registers of a tile; they must vanish.
#if defined(__clang__)
#define RAPTORS_WHOLE _Pragma("clang loop unroll(full)")
#else
#define RAPTORS_WHOLE _Pragma("GCC unroll 16")
#endif

// INDEPENDENT: no iteration touches what another writes, since operands are disjoint or exactly in
// place (Block promises it). UNROLL: four iterations at a time.
#if defined(__clang__)
#define RAPTORS_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#define RAPTORS_UNROLL _Pragma("clang loop unroll_count(4)")
#else
#define RAPTORS_INDEPENDENT _Pragma("GCC ivdep")
#define RAPTORS_UNROLL _Pragma("GCC unroll 4")
#endif

namespace raptors::RAPTORS_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;  // SSE2 and NEON are part of the baseline
#endif

// Unsigned type of T's size.
template <int size>
struct UnsignedOf;
template <>
struct UnsignedOf<1> {
    using type = uint8_t;
};
template <>
struct UnsignedOf<2> {
    using type = uint16_t;
};
template <>
struct UnsignedOf<4> {
    using type = uint32_t;
};
template <>
struct UnsignedOf<8> {
    using type = uint64_t;
};
template <>
struct UnsignedOf<16> {
    struct __attribute__((packed, may_alias)) type {
        uint64_t low, high;
    };
};
template <class T>
using Unsigned = typename UnsignedOf<sizeof(T)>::type;

template <class T, int bytes>
struct VecOf {
    typedef T type __attribute__((vector_size(bytes)));
};
template <class T, int bytes = vector_bytes>
using Vec = typename VecOf<T, bytes>::type;

// The type of a vector's lanes, and the signed integers of their size.
template <class V>
using Lane = std::remove_cvref_t<decltype(V{}[0])>;
template <class T>
using Signed = std::make_signed_t<Unsigned<T>>;
template <class V>
using Integers = Vec<Signed<Lane<V>>, static_cast<int>(sizeof(V))>;

template <class T>
constexpr int lanes = vector_bytes / static_cast<int>(sizeof(T));

// An element at any address, of memory that others may see as another type.
template <class T>
struct UnalignedOf {
    typedef T type __attribute__((aligned(1), may_alias));
};
template <>
struct UnalignedOf<boolean> {
    typedef uint8_t type __attribute__((may_alias));  // the byte as it is
};
template <>
struct UnalignedOf<UnsignedOf<16>::type> {
    using type = UnsignedOf<16>::type;  // its own attributes say so
};
template <class R>
struct UnalignedOf<complex<R>> {
    using type = complex<R>;
};
template <class T>
using Unaligned = typename UnalignedOf<T>::type;

// Any alignment.
template <class T>
RAPTORS_INLINE Vec<T> load(const void* p) {
    Vec<T> v;
    memcpy(&v, p, sizeof v);
    return v;
}

template <class V>
RAPTORS_INLINE void store(void* p, V v) {
    memcpy(p, &v, sizeof v);
}

template <class T>
RAPTORS_INLINE Vec<T> splat(T x) {
    return x - Vec<T>{};  // -0.0 - 0.0 is -0.0, where 0.0 + -0.0 would be 0.0
}

// A value of any type at any alignment.
template <class V>
RAPTORS_INLINE V get(const void* p) {
    V v;
    memcpy(&v, p, sizeof v);
    return v;
}
template <class V>
RAPTORS_INLINE void put(void* p, V v) {
    memcpy(p, &v, sizeof v);
}

constexpr ptrdiff_t smaller(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

// The same bits seen as lanes of type To.
template <class To, class V>
RAPTORS_INLINE Vec<To, static_cast<int>(sizeof(V))> as(V v) {
    return reinterpret_cast<Vec<To, static_cast<int>(sizeof(V))>>(v);
}

// One value from all lanes, pairwise: lane i with lane i + half, until one is left. `op` takes two
// scalars.
template <class T, class F>
RAPTORS_INLINE T reduce_lanes(Vec<T> v, F op) {
    T lane[lanes<T>];
    memcpy(lane, &v, sizeof v);
    for (int half = lanes<T> / 2; half > 0; half /= 2)
        for (int i = 0; i < half; ++i) lane[i] = op(lane[i], lane[i + half]);
    return lane[0];
}

}  // namespace
}  // namespace raptors::RAPTORS_ISA
