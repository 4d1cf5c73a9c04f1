// Whether any, or every, element is true.
#pragma once
#include "isa/reduce/reduction.h"

namespace raptors::RAPTORS_ISA {
namespace {

// Truth is looked at in the bits, so types of one length share the code: a NaN is true, -0.0 is
// not.
template <class U, U significant, bool all>
struct BitTruth {
    using Element = U;
    using Accumulator = uint8_t;
    static constexpr bool vectors = false;
    static bool of(U x) { return (x & significant) != 0; }
    static uint8_t next(uint8_t a, U x) { return all ? (a != 0) & of(x) : (a != 0) | of(x); }
    // Stops after the piece that decides.
    static uint8_t dense(uint8_t a, const char* p, ptrdiff_t n) {
        using V = Vec<U>;
        constexpr ptrdiff_t w = lanes<U>, piece = 4096 / size_of<U>;
        if (all ? !a : a != 0) return !all;
        V const mask = splat<U>(significant);
        ptrdiff_t i = 0;
        while (n - i >= w) {
            ptrdiff_t const end = i + smaller(n - i, i ? piece : smaller(piece, 16 * w)) / w * w;
            V seen = {};  // any: bits of true elements; all: lanes with a false one
            for (; i < end; i += w) {
                V const v = get<V>(p + i * size_of<U>) & mask;
                seen |= all ? (v == 0 ? splat<U>(1) : V{}) : v;
            }
            uint64_t any = 0;
            for (int k = 0; k < vector_bytes; k += 8)
                any |= get<uint64_t>(reinterpret_cast<const char*>(&seen) + k);
            if (any) return !all;
        }
        for (; i < n; ++i)
            if (of(get<U>(p + i * size_of<U>)) != all) return !all;
        return all;
    }
};

template <class T, bool all>
using Truth =
    BitTruth<Unsigned<T>,
             static_cast<Unsigned<T>>(static_cast<Unsigned<T>>(~Unsigned<T>{0}) >> floating<T>),
             all>;

}  // namespace
}  // namespace raptors::RAPTORS_ISA
