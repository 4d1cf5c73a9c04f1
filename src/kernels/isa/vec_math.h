// The functions that formulas of math.def may call, over one vector of float or double, of any
// width. Each states what it promises:
//
//   types      lanes that it takes
//   error      largest one measured, in units in the last place of the result (ULP): of all floats,
//              of millions of doubles; in brackets, where products are rounded for themselves
//   range      arguments whose results are neither zero nor infinite
//   special    arguments that have results of their own
//   status     what it raises beyond inexact
//   method     published algorithm
//
// Polynomials are minimax approximations (Remez), rounded from 50 digits.
#pragma once
#include "isa/fused.h"
#include "isa/scalar_math.h"

namespace raptors::RAPTORS_ISA {
namespace {

// One value in all lanes of a vector of any width.
template <class V>
RAPTORS_INLINE V each(Lane<V> x) {
    return x - V{};
}

// Whether any lane is negative, by its sign bit.
template <class V>
RAPTORS_INLINE bool any_negative(V v) {
#if defined(__AVX512F__)
    if constexpr (sizeof(V) == 64 && sizeof(Lane<V>) == 4)
        return _mm512_movepi32_mask(reinterpret_cast<__m512i>(v)) != 0;
    else if constexpr (sizeof(V) == 64)
        return _mm512_movepi64_mask(reinterpret_cast<__m512i>(v)) != 0;
    else
#elif defined(__AVX2__)
    if constexpr (sizeof(V) == 32 && sizeof(Lane<V>) == 4)
        return _mm256_movemask_ps(reinterpret_cast<__m256>(v)) != 0;
    else if constexpr (sizeof(V) == 32)
        return _mm256_movemask_pd(reinterpret_cast<__m256d>(v)) != 0;
    else
#endif
    {
        constexpr uint64_t signs = sizeof(Lane<V>) == 4 ? 0x8000000080000000 : 0x8000000000000000;
        uint64_t part[sizeof(V) / 8], found = 0;
        memcpy(part, &v, sizeof v);
        for (uint64_t const p : part) found |= p;
        return (found & signs) != 0;
    }
}

// Coefficients from the highest degree down (Horner's scheme), the last `without` left out.
template <size_t without = 0, class V, class T, size_t n>
RAPTORS_INLINE V polynomial(V x, const T (&coefficient)[n]) {
    V y = each<V>(coefficient[0]);
    for (size_t i = 1; i < n - without; ++i) y = fused(y, x, each<V>(coefficient[i]));
    return y;
}

// ---- exponential functions: base^x = 2^k base^r, |r| at most half of the base's logarithm of 2

template <class T>
struct Exponential;
template <>
struct Exponential<float> {
    static constexpr int mantissa = 23;
    static constexpr float shift = 0x1.8p23F;  // added and taken off again, it rounds to an integer
    static constexpr float outside = 152.0F;   // from here on results are zero or infinite
    static constexpr float negligible = 0x1p-26F;  // results are 1 for what is smaller
};
template <>
struct Exponential<double> {
    static constexpr int mantissa = 52;
    static constexpr double shift = 0x1.8p52;
    static constexpr double outside = 1100.0;
    static constexpr double negligible = 0x1p-55;
};

// A base: up to which size of x results are normal, the coefficients, and the reduction, which sets
// k, still on top of `shift`, and returns r.
template <class T>
struct BaseTwo;
template <>
struct BaseTwo<float> {
    static constexpr float normal = 126.0F;
    static constexpr float coefficient[] = {1.54763722e-04F,
                                            1.34003360e-03F,
                                            9.61800385e-03F,
                                            5.55032752e-02F,
                                            2.40226507e-01F,
                                            6.93147182e-01F,
                                            1.0F};
};
template <>
struct BaseTwo<double> {
    static constexpr double normal = 1022.0;
    static constexpr double coefficient[] = {
        0x1.ea188dafc8eb6p-32, 0x1.e61cff0ab954fp-28, 0x1.b524cdbbd8f63p-24, 0x1.62bfc69d1d1b5p-20,
        0x1.ffcbfc7c5d428p-17, 0x1.4309130f41554p-13, 0x1.5d87fe78a0de7p-10, 0x1.3b2ab6fb9ff03p-7,
        0x1.c6b08d704a0d7p-5,  0x1.ebfbdff82c5a5p-3,  0x1.62e42fefa39efp-1,  1.0};
};
template <class V>
RAPTORS_INLINE V reduce(V x, V& k, BaseTwo<Lane<V>>) {
    constexpr auto shift = Exponential<Lane<V>>::shift;
    k = x + shift;
    return x - (k - shift);
}

template <class T>
struct BaseE;
template <>
struct BaseE<float> {
    static constexpr float normal = 87.0F;
    static constexpr float inverse = 1.44269504F;
    // The first part of log(2) ends in zeros: its product with k is exact.
    static constexpr float high = 0x1.62e4p-1F, low = 1.42860682e-06F;
    static constexpr float coefficient[] = {
        1.39505405e-03F, 8.36891774e-03F, 4.16662060e-02F, 1.66665182e-01F, 0.5F, 1.0F, 1.0F};
};
template <>
struct BaseE<double> {
    static constexpr double normal = 708.0;
    static constexpr double inverse = 0x1.71547652b82fep+0;
    static constexpr double high = 0x1.62e42fefa3800p-1, low = 0x1.ef35793c76730p-45;
    static constexpr double coefficient[] = {0x1.af85c06967d94p-26,
                                             0x1.28b072c221ae9p-22,
                                             0x1.71dddfa85afa8p-19,
                                             0x1.a0199667d9433p-16,
                                             0x1.a01a01baf2061p-13,
                                             0x1.6c16c185b7103p-10,
                                             0x1.111111110d60bp-7,
                                             0x1.555555554ffeap-5,
                                             0x1.5555555555561p-3,
                                             0x1.000000000000cp-1,
                                             1.0,
                                             1.0};
};
template <class V>
RAPTORS_INLINE V reduce(V x, V& k, BaseE<Lane<V>> base) {
    constexpr auto shift = Exponential<Lane<V>>::shift;
    k = fused(x, each<V>(base.inverse), each<V>(shift));
    V const n = k - shift;
    return fused(n, each<V>(-base.low), fused(n, each<V>(-base.high), x));
}

// base^r
template <class Base, class V>
RAPTORS_INLINE V power_of_rest(V r) {
    if constexpr (rounds_once) {
        return polynomial(r, Base::coefficient);
    } else {  // 1 + c r + ...: what rounding 1 + c r loses is added to the other terms
        constexpr auto c = Base::coefficient[sizeof Base::coefficient / sizeof(Lane<V>) - 2];
        V const linear = r * c, sum = linear + Lane<V>(1);
        V const lost = linear - (sum - Lane<V>(1));
        return sum + (lost + polynomial<2>(r, Base::coefficient) * (r * r));
    }
}

// Where products are rounded, too, those of tiny numbers would underflow.
template <class V>
RAPTORS_INLINE V without_negligible(V x) {
    if constexpr (rounds_once) return x;
    using T = Lane<V>;
    V const size = as<T>(magnitudes(x));
    return as<T>((size >= Exponential<T>::negligible) & as<Signed<T>>(x));
}

// 2^k for k on top of `shift`; the result is normal.
template <class V>
RAPTORS_INLINE V power_of_two(V k) {
    using T = Lane<V>;
    return as<T>((as<Signed<T>>(k) << Exponential<T>::mantissa) + as<Signed<T>>(each<V>(T(1))));
}

// Results that are infinite, subnormal or zero, too, and those of infinity and NaN.
template <class Base, class V>
RAPTORS_INLINE V power_of_any(V x) {
    using T = Lane<V>;
    using I = Integers<V>;
    constexpr T shift = Exponential<T>::shift;
    I const size = magnitudes(x);
    I const special = size >= signed_infinity_bits<T>;
    I const outside = as<Signed<T>>(each<V>(Exponential<T>::outside));
    I const sign = as<Signed<T>>(x) ^ size;
    V k;
    V const finite = as<T>((special ? I{} : size > outside ? outside : size) | sign);
    V const r = reduce(without_negligible(finite), k, Base{});
    // The first product is exact; the second one rounds, overflows or underflows.
    V const half = (k - shift) * T(0.5) + shift;
    V y = power_of_rest<Base>(r) * power_of_two(half) * power_of_two(k - half + shift);
    // Now and then it is exact by chance, and what it stands for is not: that is underflow.
    V const least = each<V>(min_normal<T>);
    I const subnormal = as<Signed<T>>(y) < as<Signed<T>>(least);
    V const loss = as<T>(subnormal & (r != T(0)) & as<Signed<T>>(least));
    y += loss * loss;
    V const same = as<T>(special & as<Signed<T>>(x));
    I const zero = as<Signed<T>>(x) == as<Signed<T>>(each<V>(-infinity<T>));
    return special ? as<T>(~zero & as<Signed<T>>(same + same)) : y;
}

template <class Base, class V>
RAPTORS_INLINE V power_of(V x) {
    using T = Lane<V>;
    if (any_negative(as<Signed<T>>(each<V>(Base::normal)) - magnitudes(x))) [[unlikely]]
        return power_of_any<Base>(x);
    V k;
    V const y = power_of_rest<Base>(reduce(without_negligible(x), k, Base{}));
    return as<T>(as<Signed<T>>(y) + (as<Signed<T>>(k) << Exponential<T>::mantissa));
}

// 2^x
//   types      float, double
//   error      float 0.97 (1.02), double 0.88 (0.94)
//   range      float -149.5 .. 128, double -1074.5 .. 1024
//   special    2^-inf = 0, 2^inf = inf
//   status     overflow; underflow where the result is subnormal or zero and not exact
//   method     Cody and Waite's reduction, polynomial, 2^k added to the exponent
template <class V>
RAPTORS_INLINE V exp2(V x) {
    return power_of<BaseTwo<Lane<V>>>(x);
}

// e^x
//   types      float, double
//   error      float 0.92 (0.83), double 0.91 (0.82)
//   range      float -103.98 .. 88.73, double -745.14 .. 709.79
//   special    e^-inf = 0, e^inf = inf
//   status     as exp2
//   method     as exp2; log(2) in two parts
template <class V>
RAPTORS_INLINE V exp(V x) {
    return power_of<BaseE<Lane<V>>>(x);
}

}  // namespace
}  // namespace raptors::RAPTORS_ISA
