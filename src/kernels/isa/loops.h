// From a formula to a kernel. The loops here are over contiguous runs; loops.cpp brings every other
// layout to them.
#pragma once
#include "api/block.h"
#include "isa/scalar_math.h"

namespace raptors::RAPTORS_ISA {

// A run of n contiguous elements; data as in Block. Operands may be exactly in place, never
// otherwise overlapping.
using Core = void (*)(char* const* data, ptrdiff_t n) noexcept;

// A kernel as loops.cpp sees it.
struct Cores {
    int operands;  // inputs and the output
    int size[max_operands];
    Core core[8];  // by the set of inputs that are one element for the whole run; null: not spelt
                   // out
};

// loops.cpp. Any block, by runs.
void drive(const Block& block, const Cores& cores) noexcept;

namespace {

// No iteration touches what another writes: operands are disjoint or exactly in place (Block
// promises it).
#if defined(__clang__)
#define RAPTORS_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#define RAPTORS_UNROLL _Pragma("clang loop unroll_count(4)")
#else
#define RAPTORS_INDEPENDENT _Pragma("GCC ivdep")
#define RAPTORS_UNROLL _Pragma("GCC unroll 4")
#endif

// What formulas compute in: booleans as 0 or 1.
template <class T>
struct ValueOf {
    using type = T;
};
template <>
struct ValueOf<boolean> {
    using type = uint8_t;
};
template <class T>
using Value = typename ValueOf<T>::type;

template <class T>
RAPTORS_INLINE Value<T> value(Value<T> stored) {
    if constexpr (std::is_same_v<T, boolean>)
        return stored != 0;
    else
        return stored;
}

// The two kinds of operand in a run.
template <class T>
struct Run {
    const Unaligned<T>* first;
    explicit Run(const char* p) : first(reinterpret_cast<const Unaligned<T>*>(p)) {}
    RAPTORS_INLINE Value<T> operator[](ptrdiff_t i) const { return value<T>(first[i]); }
};
template <class T>
struct One {
    Value<T> x;
    explicit One(const char* p) : x(value<T>(*reinterpret_cast<const Unaligned<T>*>(p))) {}
    RAPTORS_INLINE Value<T> operator[](ptrdiff_t) const { return x; }
};
template <class T, bool one>
using Input = std::conditional_t<one, One<T>, Run<T>>;

// R: what is stored, uint8_t for booleans.
template <class F, class R, class X>
void unary_core(char* const* data, ptrdiff_t n) noexcept {
    Run<X> const x(data[0]);
    auto const out = reinterpret_cast<Unaligned<R>*>(data[1]);
    RAPTORS_INDEPENDENT
    for (ptrdiff_t i = 0; i < n; ++i) out[i] = static_cast<R>(F::apply(x[i]));
}

template <class F, class R, class X, unsigned ones>
void binary_core(char* const* data, ptrdiff_t n) noexcept {
    Input<X, (ones & 1) != 0> const x(data[0]);
    Input<X, (ones & 2) != 0> const y(data[1]);
    auto const out = reinterpret_cast<Unaligned<R>*>(data[2]);
    RAPTORS_INDEPENDENT
    for (ptrdiff_t i = 0; i < n; ++i) out[i] = static_cast<R>(F::apply(x[i], y[i]));
}

template <class F, class R, class X, class Y, unsigned ones>
void ternary_core(char* const* data, ptrdiff_t n) noexcept {
    Run<X> const x(data[0]);
    Input<Y, (ones & 2) != 0> const y(data[1]);
    Input<Y, (ones & 4) != 0> const z(data[2]);
    auto const out = reinterpret_cast<Unaligned<R>*>(data[3]);
    RAPTORS_INDEPENDENT
    for (ptrdiff_t i = 0; i < n; ++i) out[i] = static_cast<R>(F::apply(x[i], y[i], z[i]));
}

template <class T>
constexpr int size_of = static_cast<int>(sizeof(T));

// Kernels: one contiguous row goes straight to its loop.
template <class F, class R, class X>
struct UnaryKernel {
    static constexpr Cores cores = {2, {size_of<X>, size_of<R>}, {unary_core<F, R, X>}};
    static void run(const Block& b) noexcept {
        if (b.rows == 1 && b.inner[0] == size_of<X> && b.inner[1] == size_of<R>) [[likely]]
            return unary_core<F, R, X>(b.data, b.n);
        drive(b, cores);
    }
};

template <class F, class R, class X>
struct BinaryKernel {
    static constexpr Cores cores = {
        3,
        {size_of<X>, size_of<X>, size_of<R>},
        {binary_core<F, R, X, 0>, binary_core<F, R, X, 1>, binary_core<F, R, X, 2>}};
    static void run(const Block& b) noexcept {
        if (b.rows == 1 && b.inner[0] == size_of<X> && b.inner[1] == size_of<X> &&
            b.inner[2] == size_of<R>) [[likely]]
            return binary_core<F, R, X, 0>(b.data, b.n);
        drive(b, cores);
    }
};

// The dtypes of a row of ops.def.
constexpr uint32_t types_of_kind(char kind) {
    uint32_t types = 0;
#define DTYPE(id, type, letter, text) \
    if (kind == #letter[0]) types |= 1U << static_cast<int>(DType::id);
#include "tables/dtypes.def"
    return types;
}
constexpr uint32_t INTEGER = types_of_kind('I') | types_of_kind('U');
constexpr uint32_t FLOATING = types_of_kind('F');
constexpr uint32_t NUMERIC = INTEGER | FLOATING;
constexpr uint32_t ANY = NUMERIC | types_of_kind('B');

constexpr bool includes(uint32_t types, DType t) { return (types >> static_cast<int>(t)) & 1U; }

// The stored result of a row.
struct SAME {
    template <class T>
    using of = Value<T>;
};
struct BOOL {
    template <class T>
    using of = uint8_t;
};

}  // namespace
}  // namespace raptors::RAPTORS_ISA
