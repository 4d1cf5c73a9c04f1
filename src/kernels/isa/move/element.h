// One element of any size, as raw bytes.
#pragma once
#include "isa/loops.h"

namespace raptors::RAPTORS_ISA {
namespace {

template <class U>
struct CopyWhole {
    RAPTORS_INLINE void operator()(char* to, const char* from) const { put(to, get<U>(from)); }
};

// An element of one to two U.
template <class U>
struct CopyEnds {
    ptrdiff_t beyond;  // the size less that of a U
    RAPTORS_INLINE void operator()(char* to, const char* from) const {
        U const first = get<U>(from), last = get<U>(from + beyond);
        put(to, first);
        put(to + beyond, last);
    }
};

struct CopyBytes {
    ptrdiff_t size;
    RAPTORS_INLINE void operator()(char* to, const char* from) const {
        memcpy(to, from, static_cast<size_t>(size));
    }
};

// body(copy), where copy(to, from) moves an element of `size` bytes: no power of two up to 16.
template <class Body>
RAPTORS_INLINE void with_odd_copy(ptrdiff_t size, const Body& body) {
    if (size <= 4) return body(CopyEnds<uint16_t>{size - 2});
    if (size <= 8) return body(CopyEnds<uint32_t>{size - 4});
    if (size <= 16) return body(CopyEnds<uint64_t>{size - 8});
    if (size <= 32) return body(CopyEnds<UnsignedOf<16>::type>{size - 16});
    body(CopyBytes{size});
}
// whole(TypeTag<U>()) where an unsigned type U has `size` bytes, else odd(copy) as above.
template <class Whole, class Odd>
RAPTORS_INLINE void with_element(ptrdiff_t size, const Whole& whole, const Odd& odd) {
    if (size == 1) return whole(TypeTag<uint8_t>());
    if (size == 2) return whole(TypeTag<uint16_t>());
    if (size == 4) return whole(TypeTag<uint32_t>());
    if (size == 8) return whole(TypeTag<uint64_t>());
    if (size == 16) return whole(TypeTag<UnsignedOf<16>::type>());
    with_odd_copy(size, odd);
}
// body(copy) for any size.
template <class Body>
RAPTORS_INLINE void with_copy(ptrdiff_t size, const Body& body) {
    with_element(size, [&](auto tag) { body(CopyWhole<typename decltype(tag)::type>{}); }, body);
}

}  // namespace
}  // namespace raptors::RAPTORS_ISA
