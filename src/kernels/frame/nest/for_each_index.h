// Loops over the axes that a kernel call does not cover.
#pragma once
#include "api/types.h"

namespace raptors {

// Calls body() for every index of `axes` axes of at least one element, the last one fastest; the
// pointers in `data` move along and end where they began. Strides: [axis][operand].
template <int operands, class Body>
inline void for_each_index(int axes, const ptrdiff_t* shape, const ptrdiff_t (*strides)[operands],
                           int used_operands, char** data, Body body) noexcept {
    ptrdiff_t index[max_dims];
    for (int a = 0; a < axes; ++a) index[a] = 0;
    for (;;) {
        body();
        int a = axes - 1;
        for (; a >= 0; --a) {
            bool const stay = ++index[a] < shape[a];
            ptrdiff_t const steps = stay ? 1 : 1 - shape[a];
            for (int i = 0; i < used_operands; ++i) data[i] += steps * strides[a][i];
            if (stay) break;
            index[a] = 0;
        }
        if (a < 0) return;
    }
}

}  // namespace raptors
