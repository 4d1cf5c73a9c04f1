// From a formula to a kernel. The loops here are over contiguous runs; loops.cpp brings every other
// layout to them.
#pragma once
#include "api/block.h"
#include "isa/booleans.h"
#include "isa/pairs.h"

#include <utility>

namespace raptors::RAPTORS_ISA {

// A run of n contiguous elements; data as in Block. Operands may be exactly in place, never
// otherwise overlapping.
using Core = void (*)(char* const* data, ptrdiff_t n) noexcept;

// The same of n elements that are `step` bytes apart.
using SteppingCore = void (*)(char* const* data, const ptrdiff_t* step, ptrdiff_t n) noexcept;

// A kernel as loops.cpp sees it.
struct Cores {
    int inputs, outputs;
    int size[max_arguments];
    Core core[8];  // by the set of inputs that are one element for the whole run; null: none
    unsigned converted = 0;  // the set of arguments that cores take in another type, as floats
    SteppingCore stepping = nullptr;  // for long rows of long elements: packing them costs more
    bool steps_by_vectors = false;    // it always does
    constexpr int arguments() const { return inputs + outputs; }
};

// loops.cpp. Any block, by runs.
void drive(const Block& block, const Cores& cores) noexcept;

namespace {

// The two kinds of operand in a run.
template <class T>
struct Run {
    const Unaligned<T>* first;
    explicit Run(const char* p) : first(reinterpret_cast<const Unaligned<T>*>(p)) {}
    RAPTORS_INLINE Value<T> operator[](ptrdiff_t i) const { return value<T>(first[i]); }
    static constexpr bool has_lines = is_elementary<T> && sizeof(T) >= 4;
    static constexpr bool has_pairs = is_complex<T>;
    RAPTORS_INLINE auto line(ptrdiff_t i) const { return load<T>(first + i); }
    RAPTORS_INLINE auto pairs(ptrdiff_t i) const { return Pairs<Real<T>>::load(first + i); }
    RAPTORS_INLINE auto some_pairs(ptrdiff_t i, ptrdiff_t n) const {
        return Pairs<Real<T>>::load_part(first + i, n);
    }
};
template <class T>
struct One {
    Value<T> x;
    explicit One(const char* p) : x(value<T>(*reinterpret_cast<const Unaligned<T>*>(p))) {}
    RAPTORS_INLINE Value<T> operator[](ptrdiff_t) const { return x; }
    static constexpr bool has_lines = Run<T>::has_lines;
    static constexpr bool has_pairs = Run<T>::has_pairs;
    RAPTORS_INLINE auto line(ptrdiff_t) const { return splat(x); }
    RAPTORS_INLINE auto pairs(ptrdiff_t) const { return Pairs<Real<T>>::repeat(x); }
    RAPTORS_INLINE auto some_pairs(ptrdiff_t, ptrdiff_t) const { return pairs(0); }
};
template <class T, bool one>
using Input = std::conditional_t<one, One<T>, Run<T>>;

// Where results go.
template <class... R>
struct Outputs;
template <class R>
struct Outputs<R> {
    using Result = R;
    Unaligned<R>* first;
    explicit Outputs(char* const* data) : first(reinterpret_cast<Unaligned<R>*>(data[0])) {}
    template <class V>
    RAPTORS_INLINE void put(ptrdiff_t i, V v) const {
        first[i] = static_cast<Value<R>>(v);
    }
};
template <class R, class S>
struct Outputs<R, S> {
    using Result = void;
    Unaligned<R>* first;
    Unaligned<S>* second;
    explicit Outputs(char* const* data)
        : first(reinterpret_cast<Unaligned<R>*>(data[0])),
          second(reinterpret_cast<Unaligned<S>*>(data[1])) {}
    template <class V>
    RAPTORS_INLINE void put(ptrdiff_t i, V v) const {
        first[i] = static_cast<R>(v.first);
        second[i] = static_cast<S>(v.second);
    }
};

// How many elements are done by vectors, the first ones.
template <class F, class Out, class... In>
RAPTORS_INLINE ptrdiff_t by_lines(char* out, ptrdiff_t n, const In&... in) {
    using R = typename Out::Result;
    if constexpr (std::is_same_v<R, boolean> && (In::has_lines && ...))
        return compare_lines<F>(out, n, in...);
    if constexpr (is_complex<R> && (In::has_pairs && ...))
        return compute_pairs<F, Real<R>>(out, n, in...);
    return 0;
}

template <class F, class Out, class X>
void unary_core(char* const* data, ptrdiff_t n) noexcept {
    Run<X> const x(data[0]);
    Out const out(data + 1);
    ptrdiff_t i = by_lines<F, Out>(data[1], n, x);
    RAPTORS_INDEPENDENT
    for (; i < n; ++i) out.put(i, F::apply(x[i]));
}

template <class F, class Out, class X, class Y, unsigned scalar_mask>
void binary_core(char* const* data, ptrdiff_t n) noexcept {
    Input<X, (scalar_mask & 1) != 0> const x(data[0]);
    Input<Y, (scalar_mask & 2) != 0> const y(data[1]);
    Out const out(data + 2);
    ptrdiff_t i = by_lines<F, Out>(data[2], n, x, y);
    RAPTORS_INDEPENDENT
    for (; i < n; ++i) out.put(i, F::apply(x[i], y[i]));
}

template <class F, class Out, class X, class Y>
void stepping_core(char* const* data, const ptrdiff_t* step, ptrdiff_t n) noexcept {
    const char *x = data[0], *y = data[1];
    char* to = data[2];
    ptrdiff_t const x_step = step[0], y_step = step[1], out_step = step[2];
    RAPTORS_UNROLL
    for (ptrdiff_t i = 0; i < n; ++i) {
        Out(&to).put(0, F::apply(One<X>(x)[0], One<Y>(y)[0]));
        x += x_step;
        y += y_step;
        to += out_step;
    }
}

template <class F, class Out, class X, class Y, unsigned scalar_mask>
void ternary_core(char* const* data, ptrdiff_t n) noexcept {
    Run<X> const x(data[0]);
    Input<Y, (scalar_mask & 2) != 0> const y(data[1]);
    Input<Y, (scalar_mask & 4) != 0> const z(data[2]);
    Out const out(data + 3);
    RAPTORS_INDEPENDENT
    for (ptrdiff_t i = 0; i < n; ++i) out.put(i, F::apply(x[i], y[i], z[i]));
}

template <class T>
constexpr int size_of = static_cast<int>(sizeof(T));

// ---- signatures
// The signature of a row of ops.def, such as "TT->?".
template <size_t n>
struct RowSignature {
    char text[n]{};
    constexpr RowSignature(const char (&from)[n]) {  // NOLINT(google-explicit-constructor)
        for (size_t i = 0; i < n; ++i) text[i] = from[i];
    }
    constexpr int inputs() const {
        int i = 0;
        while (text[i] != '-') ++i;
        return i;
    }
    constexpr int outputs() const { return static_cast<int>(n) - 1 - inputs() - 2; }
    constexpr char letter(int argument) const {
        return text[argument < inputs() ? argument : argument + 2];
    }
};

// The C type of an argument for the loop's type T.
template <char letter, class T>
struct TypeOfLetter;
template <class T>
struct TypeOfLetter<'T', T> {
    using type = T;
};
template <class T>
struct TypeOfLetter<'?', T> {
    using type = boolean;
};
template <class T>
struct TypeOfLetter<'i', T> {
    using type = int32_t;
};
template <class T>
struct TypeOfLetter<'R', T> {
    using type = Real<T>;
};
template <RowSignature signature, int argument, class T>
using Argument = typename TypeOfLetter<signature.letter(argument), T>::type;

template <RowSignature signature, int argument, class T>
using ComputedArgument = Computed<Argument<signature, argument, T>>;

template <RowSignature signature, class T, int... output>
Outputs<ComputedArgument<signature, signature.inputs() + output, T>...> outputs_of(
    std::integer_sequence<int, output...>);
template <RowSignature signature, class T>
using OutputsOf =
    decltype(outputs_of<signature, T>(std::make_integer_sequence<int, signature.outputs()>()));

template <RowSignature signature, class T, int... argument>
constexpr bool is_one_run(const Block& b, std::integer_sequence<int, argument...>) {
    return !is_converted<T> && b.rows == 1 &&
           ((b.inner[argument] == size_of<Argument<signature, argument, T>>) && ...);
}
template <RowSignature signature, class T, int... argument>
constexpr Cores cores_of(std::integer_sequence<int, argument...>, Core none, Core first,
                         Core second) {
    return {signature.inputs(),
            signature.outputs(),
            {size_of<Argument<signature, argument, T>>...},
            {none, first, second},
            ((is_converted<Argument<signature, argument, T>> ? 1U << argument : 0U) | ...)};
}
template <RowSignature signature>
using Arguments = std::make_integer_sequence<int, signature.inputs() + signature.outputs()>;

// Kernels: one contiguous row goes straight to its loop.
template <class F, RowSignature signature, class T>
struct UnaryKernel {
    static constexpr Core core =
        unary_core<F, OutputsOf<signature, T>, ComputedArgument<signature, 0, T>>;
    static constexpr Cores cores =
        cores_of<signature, T>(Arguments<signature>(), core, nullptr, nullptr);
    static void run(const Block& b, const void*) noexcept {
        if (is_one_run<signature, T>(b, Arguments<signature>())) [[likely]]
            return core(b.data, b.n);
        drive(b, cores);
    }
};

template <class F, RowSignature signature, class T>
struct BinaryKernel {
    template <unsigned scalar_mask>
    static constexpr Core core =
        binary_core<F, OutputsOf<signature, T>, ComputedArgument<signature, 0, T>,
                    ComputedArgument<signature, 1, T>, scalar_mask>;
    static constexpr Cores with_stepping(Cores cores) {
        if constexpr (size_of<T> >= 4 && size_of<T> <= 8 && is_elementary<T> &&
                      signature.outputs() == 1)
            cores.stepping =
                stepping_core<F, OutputsOf<signature, T>, ComputedArgument<signature, 0, T>,
                              ComputedArgument<signature, 1, T>>;
#if defined(__AVX2__)
        if constexpr (is_complex<T> && is_complex<Argument<signature, signature.inputs(), T>>)
            cores.stepping = step_pairs<F, Real<T>>, cores.steps_by_vectors = true;
#endif
        return cores;
    }
    static constexpr Cores cores =
        with_stepping(cores_of<signature, T>(Arguments<signature>(), core<0>, core<1>, core<2>));
    static void run(const Block& b, const void*) noexcept {
        if (is_one_run<signature, T>(b, Arguments<signature>())) [[likely]]
            return core<0>(b.data, b.n);
        drive(b, cores);
    }
};

template <class F, class To, class From>
struct CastKernel {
    static constexpr Core core = unary_core<F, Outputs<Computed<To>>, Computed<From>>;
    static constexpr Cores cores = {1,
                                    1,
                                    {size_of<From>, size_of<To>},
                                    {core},
                                    (is_converted<From> ? 1U : 0U) | (is_converted<To> ? 2U : 0U)};
    static void run(const Block& b, const void*) noexcept {
        if (!cores.converted && b.rows == 1 && b.inner[0] == size_of<From> &&
            b.inner[1] == size_of<To>) [[likely]]
            return core(b.data, b.n);
        drive(b, cores);
    }
};

// The dtypes of a row of ops.def.
constexpr uint32_t types_of_kind(char kind) {
    uint32_t types = 0;
#define DTYPE(id, type, letter, ...) \
    if (kind == #letter[0]) types |= 1U << static_cast<int>(DType::id);
#include "tables/dtypes.def"
    return types;
}
constexpr uint32_t INTEGER = types_of_kind('I') | types_of_kind('U');
constexpr uint32_t FLOATING = types_of_kind('F');
constexpr uint32_t NUMERIC = INTEGER | FLOATING;
constexpr uint32_t ANY = NUMERIC | types_of_kind('B');
constexpr uint32_t COMPLEX = types_of_kind('C');
// Those that kernels compute in.
constexpr uint32_t COMPUTED = 0
#define DTYPE(id, type, kind, text, computes, real) \
    | (DType::id == DType::computes ? 1U << static_cast<int>(DType::id) : 0)
#include "tables/dtypes.def"
    ;

template <class T>
constexpr DType dtype_of_type = DType::count;
#define DTYPE(id, type, ...) \
    template <>              \
    constexpr DType dtype_of_type<type> = DType::id;
#include "tables/dtypes.def"

constexpr bool includes(uint32_t types, DType t) { return (types >> static_cast<int>(t)) & 1U; }

}  // namespace
}  // namespace raptors::RAPTORS_ISA
