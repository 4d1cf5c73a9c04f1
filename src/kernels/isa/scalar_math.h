// The functions that formulas of ops.def may call, over one element; loops.h vectorises them with
// the compiler's help. T is the loop's C type; booleans arrive as uint8_t 0 or 1. Bit-identical to
// NumPy on every ISA, but for products of complex numbers, which are fused where the ISA can, and
// their absolute values. Both operands of a selection are computed first: with strict FP flags the
// compiler keeps a branch otherwise.
#pragma once
#include "isa/values.h"

namespace raptors::RAPTORS_ISA {
namespace {

template <class T>
constexpr int bits_of = 8 * static_cast<int>(sizeof(T));

// Unsigned type of at least 32 bits to compute in: smaller ones would be promoted to int.
template <class T>
using Wide = typename UnsignedOf<(sizeof(T) < 4 ? 4 : sizeof(T))>::type;

template <class T>
RAPTORS_INLINE T pick(bool condition, T x, T y) {
    return condition ? x : y;
}

// What a formula with two outputs gives.
template <class A, class B>
struct Two {
    A first;
    B second;
};
template <class A, class B>
Two(A, B) -> Two<A, B>;

// Floating point by the bits: comparing a NaN would set a flag.
template <class T>
constexpr Unsigned<T> sign_mask = static_cast<Unsigned<T>>(Unsigned<T>{1} << (bits_of<T> - 1));
template <class T>
constexpr Unsigned<T> infinity_bits = sizeof(T) == 4 ? static_cast<Unsigned<T>>(0x7f800000)
                                                     : static_cast<Unsigned<T>>(0x7ff0000000000000);
template <class T>
constexpr T infinity = __builtin_bit_cast(T, infinity_bits<T>);
template <class T>
constexpr T min_normal = sizeof(T) == 4 ? T(0x1p-126) : T(0x1p-1022);
template <class T>
RAPTORS_INLINE Unsigned<T> bits(T x) {
    return __builtin_bit_cast(Unsigned<T>, x);
}
template <class T>
RAPTORS_INLINE Signed<T> magnitude_bits(T x) {
    return static_cast<Signed<T>>(bits(x) & ~sign_mask<T>);
}
// The same of each lane of a vector.
template <class V>
RAPTORS_INLINE Integers<V> magnitudes(V x) {
    using T = Lane<V>;
    return as<Signed<T>>(x) & static_cast<Signed<T>>(~sign_mask<T>);
}
template <class T>
constexpr auto signed_infinity_bits = static_cast<Signed<T>>(infinity_bits<T>);

template <class T>
RAPTORS_INLINE T copy_sign(T x, T y) {
    return __builtin_bit_cast(
        T, static_cast<Unsigned<T>>((bits(x) & ~sign_mask<T>) | (bits(y) & sign_mask<T>)));
}

// Arithmetic
template <class T>
RAPTORS_INLINE T wrap_add(T x, T y) {
    if constexpr (is_floating<T> || is_complex<T>)
        return x + y;
    else
        return static_cast<T>(static_cast<Wide<T>>(x) + static_cast<Wide<T>>(y));
}
template <class T>
RAPTORS_INLINE T wrap_subtract(T x, T y) {
    if constexpr (is_floating<T> || is_complex<T>)
        return x - y;
    else
        return static_cast<T>(static_cast<Wide<T>>(x) - static_cast<Wide<T>>(y));
}
template <class T>
RAPTORS_INLINE T wrap_multiply(T x, T y) {
    if constexpr (is_floating<T> || is_complex<T>)
        return x * y;
    else
        return static_cast<T>(static_cast<Wide<T>>(x) * static_cast<Wide<T>>(y));
}
template <class T>
RAPTORS_INLINE T wrap_negative(T x) {
    if constexpr (is_floating<T> || is_complex<T>)
        return -x;
    else
        return static_cast<T>(Wide<T>{0} - static_cast<Wide<T>>(x));
}

RAPTORS_INLINE float square_root(float x) { return __builtin_sqrtf(x); }
RAPTORS_INLINE double square_root(double x) { return __builtin_sqrt(x); }

RAPTORS_INLINE float absolute(float x) { return __builtin_fabsf(x); }
RAPTORS_INLINE double absolute(double x) { return __builtin_fabs(x); }
template <class T>
RAPTORS_INLINE T absolute(T x) {
    if constexpr (is_signed<T>)
        return pick(x < 0, wrap_negative(x), x);  // the smallest integer stays
    else
        return x;
}

// Scaled by a power of two, so that squares neither overflow nor underflow. Within 2 ULP of the
// true value; NaN and infinity as C's hypot has them.
template <class R>
RAPTORS_INLINE R absolute(complex<R> x) {
    using U = Unsigned<R>;
    constexpr int mantissa = sizeof(R) == 4 ? 23 : 52;
    constexpr auto least = static_cast<U>(U{1} << mantissa);  // exponents whose inverse is normal
    constexpr auto most = static_cast<U>(infinity_bits<R> - 2 * least);
    auto const re = static_cast<U>(magnitude_bits(x.re)), im = static_cast<U>(magnitude_bits(x.im));
    U scale = pick(re > im, re, im) & infinity_bits<R>;
    scale = pick(scale < least, least, scale);
    scale = pick(scale > most, most, scale);
    R const inverse = __builtin_bit_cast(R, static_cast<U>(most + least - scale));
    R const a = __builtin_bit_cast(R, re) * inverse, b = __builtin_bit_cast(R, im) * inverse;
    R const size = square_root(a * a + b * b) * __builtin_bit_cast(R, scale);
    bool const infinite = (re == infinity_bits<R>) | (im == infinity_bits<R>);
    return pick(infinite, infinity<R>, size);
}

template <class T>
RAPTORS_INLINE T sign(T x) {
    if constexpr (is_floating<T>)
        return pick(x == T{0}, T{0}, pick(x != x, x, copy_sign(T{1}, x)));
    else
        return static_cast<T>((x > T{0}) - (x < T{0}));
}

// Sets the FP flags that NumPy's 1.0 / 0 and the conversion of its result to an integer set.
inline __attribute__((noinline)) void raise_divide_and_invalid() {
    double volatile zero = 0.0;
    double volatile sink = 1.0 / zero;
    sink = zero / zero;
    (void)sink;
}

// Sets the FP flags of a division by zero, and of an overflow.
inline __attribute__((noinline)) void raise_divide() {
    double volatile zero = 0.0;
    double volatile sink = 1.0 / zero;
    (void)sink;
}
inline __attribute__((noinline)) void raise_overflow() {
    double volatile large = 1e308;
    double volatile sink = large * large;
    (void)sink;
}

// Integers: the fraction is cut off; 0 gives what x86-64 makes of infinity.
template <class T>
RAPTORS_INLINE T reciprocal(T x) {
    if constexpr (is_floating<T>) {
        return T{1} / x;
#if defined(__x86_64__)
    } else if constexpr (sizeof(T) <= 4) {
        // The division sets the flags. Unsigned results are 0 or 1; the other bits stem from
        // infinity.
        auto const q = static_cast<int32_t>(1.0F / static_cast<float>(x));
        return static_cast<T>(is_signed<T> ? q : q & 1);
#endif
    } else {
        if (x == 0) [[unlikely]] {
            raise_divide_and_invalid();
            return sizeof(T) >= 4 && is_signed<T>
                       ? static_cast<T>(Unsigned<T>{1} << (bits_of<T> - 1))
                       : T{0};
        }
        // 1 and -1 are their own reciprocals.
        return static_cast<Unsigned<T>>(static_cast<Wide<T>>(x) + 1) <= 2 &&
                       (is_signed<T> || x == 1)
                   ? x
                   : T{0};
    }
}

// x where it is better, and where `decider` is NaN.
template <class T>
RAPTORS_INLINE T better_of(bool better, T decider, T x, T y) {
    if constexpr (is_floating<T>) better |= decider != decider;
    return pick(better, x, y);
}
// Extremes. The second operand wins if both are equal (0.0 and -0.0), the first if both are NaN.
template <class T>
RAPTORS_INLINE T minimum(T x, T y) {
    return better_of(x < y, x, x, y);
}
template <class T>
RAPTORS_INLINE T maximum(T x, T y) {
    return better_of(x > y, x, x, y);
}
template <class T>
RAPTORS_INLINE T fmin(T x, T y) {
    return better_of(x < y, y, x, y);
}
template <class T>
RAPTORS_INLINE T fmax(T x, T y) {
    return better_of(x > y, y, x, y);
}

// Logic and bits
template <class T>
RAPTORS_INLINE auto truth(T x) {
    return x != T{};  // NaN is true
}

// Counts outside 0 .. bits-1, negative ones included, shift everything out.
template <class T>
RAPTORS_INLINE T shift_left(T x, T y) {
    auto const count = static_cast<Unsigned<T>>(y);
    bool const inside = count < bits_of<T>;
    T const shifted = static_cast<T>(static_cast<Wide<T>>(x) << (count & (bits_of<T> - 1)));
    return pick(inside, shifted, T{0});
}
template <class T>
RAPTORS_INLINE T shift_right(T x, T y) {
    auto const count = static_cast<Unsigned<T>>(y);
    if constexpr (is_signed<T> && sizeof(T) < 4) {
        // By way of the unsigned shift, which vectorises better: x + 2^(bits-1) cannot be negative.
        constexpr auto offset = static_cast<Unsigned<T>>(1U << (bits_of<T> - 1));
        auto const raised = static_cast<Unsigned<T>>(static_cast<Unsigned<T>>(x) ^ offset);
        auto const inside = count & (bits_of<T> - 1);
        auto const low = static_cast<T>(offset >> inside);
        T const shifted = static_cast<T>(static_cast<T>(raised >> inside) - low);
        return pick(count < bits_of<T>, shifted, pick(x < 0, static_cast<T>(-1), T{0}));
    } else if constexpr (is_signed<T>) {
        Unsigned<T> const most = bits_of<T> - 1;
        return static_cast<T>(x >> (count < most ? count : most));
    } else {
        T const shifted = static_cast<T>(x >> (count & (bits_of<T> - 1)));
        return pick(count < bits_of<T>, shifted, T{0});
    }
}

// Floating point
template <class T>
RAPTORS_INLINE bool is_nan(T x) {
    if constexpr (is_floating<T>)
        return magnitude_bits(x) > signed_infinity_bits<T>;
    else
        return false;
}
template <class T>
RAPTORS_INLINE bool is_inf(T x) {
    if constexpr (is_floating<T>)
        return magnitude_bits(x) == signed_infinity_bits<T>;
    else
        return false;
}
template <class T>
RAPTORS_INLINE bool is_finite(T x) {
    if constexpr (is_floating<T>)
        return magnitude_bits(x) < signed_infinity_bits<T>;
    else
        return true;
}
template <class T>
RAPTORS_INLINE bool sign_bit(T x) {
    return (bits(x) & sign_mask<T>) != 0;
}
#if defined(__SSE4_1__) || defined(__aarch64__)
RAPTORS_INLINE float round_down(float x) { return __builtin_floorf(x); }
RAPTORS_INLINE double round_down(double x) { return __builtin_floor(x); }
RAPTORS_INLINE float round_up(float x) { return __builtin_ceilf(x); }
RAPTORS_INLINE double round_up(double x) { return __builtin_ceil(x); }
RAPTORS_INLINE float round_to_zero(float x) { return __builtin_truncf(x); }
RAPTORS_INLINE double round_to_zero(double x) { return __builtin_trunc(x); }
RAPTORS_INLINE float round_to_even(float x) { return __builtin_rintf(x); }
RAPTORS_INLINE double round_to_even(double x) { return __builtin_rint(x); }
#else
// Without a rounding instruction: adding 2^mantissa bits leaves no room for a fraction. Numbers
// beyond are integers.
template <class T>
RAPTORS_INLINE T round_to_even(T x) {
    T const no_fraction = sizeof(T) == 4 ? T(8388608.0) : T(4503599627370496.0);
    T const size = absolute(x);
    T const rounded = copy_sign((size + no_fraction) - no_fraction, x);
    return pick(size < no_fraction, rounded, x);
}
template <class T>
RAPTORS_INLINE T round_down(T x) {
    T const r = round_to_even(x);
    return copy_sign(r - pick(r > x, T{1}, T{0}), x);
}
template <class T>
RAPTORS_INLINE T round_up(T x) {
    T const r = round_to_even(x);
    return copy_sign(r + pick(r < x, T{1}, T{0}), x);
}
template <class T>
RAPTORS_INLINE T round_to_zero(T x) {
    T const size = absolute(x);
    T const r = round_to_even(size);
    return copy_sign(r - pick(r > size, T{1}, T{0}), x);
}
#endif

// modf
template <class T>
RAPTORS_INLINE Two<T, T> split(T x) {
    T const whole = round_to_zero(x);
    T const rest = pick(is_inf(x), T{0}, x - whole);
    return {copy_sign(rest, x), whole};
}

// Quotient, rounded down, and remainder. Floats: the steps of NumPy's npy_divmod.
RAPTORS_INLINE float float_remainder(float x, float y) { return __builtin_fmodf(x, y); }
RAPTORS_INLINE double float_remainder(double x, double y) { return __builtin_fmod(x, y); }
template <class T>
RAPTORS_INLINE Two<T, T> floor_divmod(T x, T y) {
    if constexpr (is_floating<T>) {
        T rest = float_remainder(x, y);
        if (y == T{0}) return {x / y, rest};
        T quotient = (x - rest) / y;
        if (rest != T{0}) {
            if (sign_bit(y) != sign_bit(rest)) {  // no comparison: of a NaN it sets a flag
                rest += y;
                quotient -= T{1};
            }
        } else {
            rest = copy_sign(T{0}, y);
        }
        if (is_nan(quotient)) return {quotient, rest};
        if (quotient == T{0}) return {copy_sign(T{0}, x / y), rest};
        T whole = round_down(quotient);
        if (__builtin_isgreater(quotient - whole, T(0.5))) whole += T{1};
        return {whole, rest};
    } else {
        if (y == 0) [[unlikely]] {
            raise_divide();
            return {T{0}, T{0}};
        }
        if constexpr (is_signed<T>) {
            if (y == -1) {  // the smallest integer stays
                if (x == wrap_negative(x) && x != 0) [[unlikely]]
                    raise_overflow();
                return {wrap_negative(x), T{0}};
            }
            auto const quotient = static_cast<T>(x / y), rest = static_cast<T>(x % y);
            bool const down = rest != 0 && ((rest < 0) != (y < 0));
            return {static_cast<T>(quotient - down), static_cast<T>(down ? rest + y : rest)};
        } else {
            return {static_cast<T>(x / y), static_cast<T>(x % y)};
        }
    }
}

RAPTORS_INLINE float scale_by_power(float x, int32_t y) { return __builtin_ldexpf(x, y); }
RAPTORS_INLINE double scale_by_power(double x, int32_t y) { return __builtin_ldexp(x, y); }

// As NumPy clips with array bounds; select.cpp has its other rule for scalar bounds.
template <class T>
RAPTORS_INLINE T clip(T x, T low, T high) {
    if constexpr (is_floating<T>) {
        // By masks: from two nested selections of floats the compiler makes branches.
        auto const choose = [](bool condition, T a, T b) {
            auto const mask = static_cast<Unsigned<T>>(-static_cast<Unsigned<T>>(condition));
            return __builtin_bit_cast(
                T, static_cast<Unsigned<T>>((bits(a) & mask) | (bits(b) & ~mask)));
        };
        T const m = choose((x > low) | (x != x), x, low);
        return choose((m < high) | (m != m), m, high);
    } else {
        return minimum(maximum(x, low), high);
    }
}

}  // namespace
}  // namespace raptors::RAPTORS_ISA
