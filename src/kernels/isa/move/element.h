// One element of any size, as raw bytes.
#pragma once
#include "isa/loops.h"

namespace raptors::RAPTORS_ISA {
namespace {

// Each says the size, and the one known here (0: none), and reads an element to write it, once or
// many times.
template <class U>
struct CopyWhole {
    static constexpr int size = sizeof(U), whole = size;
    RAPTORS_INLINE U read(const char* from) const { return get<U>(from); }
    RAPTORS_INLINE void write(char* to, U element) const { put(to, element); }
    RAPTORS_INLINE void operator()(char* to, const char* from) const { write(to, read(from)); }
};

// An element of one to two U.
template <class U>
struct CopyEnds {
    static constexpr int whole = 0;
    ptrdiff_t size;
    struct Ends {
        U first, last;
    };
    RAPTORS_INLINE Ends read(const char* from) const {
        return {get<U>(from), get<U>(from + size - sizeof(U))};
    }
    RAPTORS_INLINE void write(char* to, Ends element) const {
        put(to, element.first);
        put(to + size - sizeof(U), element.last);
    }
    RAPTORS_INLINE void operator()(char* to, const char* from) const { write(to, read(from)); }
};

struct CopyBytes {
    static constexpr int whole = 0;
    ptrdiff_t size;
    RAPTORS_INLINE const char* read(const char* from) const { return from; }
    RAPTORS_INLINE void write(char* to, const char* element) const {
        memcpy(to, element, static_cast<size_t>(size));
    }
    RAPTORS_INLINE void operator()(char* to, const char* from) const { write(to, from); }
};

// body(copy), where copy(to, from) moves an element of `size` bytes: no power of two up to 16.
template <class Body>
RAPTORS_INLINE void with_odd_copy(ptrdiff_t size, const Body& body) {
    if (size <= 4) return body(CopyEnds<uint16_t>{size});
    if (size <= 8) return body(CopyEnds<uint32_t>{size});
    if (size <= 16) return body(CopyEnds<uint64_t>{size});
    if (size <= 32) return body(CopyEnds<UnsignedOf<16>::type>{size});
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
