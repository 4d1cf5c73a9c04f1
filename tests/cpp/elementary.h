// Types that the tests can compute with, too: neither complex numbers nor half precision, which
// the tests in Python compare with NumPy.
#pragma once
#include <type_traits>

#include "api/types.h"

template <class T>
constexpr bool is_elementary = std::is_arithmetic_v<T> || std::is_same_v<T, raptors::boolean>;

// f(TypeTag<C type>()) if the dtype's type is one of them.
template <class F>
void with_elementary_type(raptors::DType t, const F& f) {
    raptors::with_type(t, [&](auto tag) {
        if constexpr (is_elementary<typename decltype(tag)::type>) f(tag);
    });
}
