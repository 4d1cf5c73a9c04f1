#include "frame/nest/overlap.h"

#include <numeric>

#include "frame/nest/axes.h"

namespace raptors {

Extent extent_of(const char* data, int ndim, const ptrdiff_t* shape, const ptrdiff_t* strides,
                 ptrdiff_t size) noexcept {
    Extent e{data, data + size};
    for (int a = 0; a < ndim; ++a) {
        if (shape[a] == 0) return {data, data};
        ptrdiff_t const reach = strides[a] * (shape[a] - 1);
        (reach < 0 ? e.low : e.high) += reach;
    }
    return e;
}

// Sufficient: every stride steps over all that smaller ones reach.
bool is_injective(int ndim, const ptrdiff_t* shape, const ptrdiff_t* strides,
                  ptrdiff_t size) noexcept {
    ptrdiff_t reach = size;
    for (ptrdiff_t last = 0;;) {  // axes of strides up to `last` are done
        ptrdiff_t next = 0, length = 0;
        int same = 0;
        for (int a = 0; a < ndim; ++a) {
            if (shape[a] <= 1) continue;
            ptrdiff_t const stride = magnitude(strides[a]);
            if (stride == 0) return false;
            if (stride <= last) continue;
            if (next == 0 || stride < next) {
                next = stride;
                length = shape[a];
                same = 1;
            } else if (stride == next) {
                ++same;
            }
        }
        if (next == 0) return true;
        if (same > 1 || next < reach) return false;
        reach += next * (length - 1);
        last = next;
    }
}

bool overlaps(const Nest& nest, int input, int input_size, int output, int output_size) noexcept {
    bool same = nest.data[input] == nest.data[output] && input_size == output_size;
    ptrdiff_t divisor = 0;
    for (int a = 0; a < nest.ndim; ++a) {
        if (nest.shape[a] == 0) return false;
        if (nest.shape[a] == 1) continue;
        ptrdiff_t const in = nest.strides[input][a], out = nest.strides[output][a];
        same &= in == out;
        divisor = std::gcd(std::gcd(divisor, in), out);
    }
    auto const extent = [&](int operand, int size) {
        return extent_of(nest.data[operand], nest.ndim, nest.shape, nest.strides[operand], size);
    };
    if (disjoint(extent(input, input_size), extent(output, output_size))) return false;
    if (same) return !is_injective(nest.ndim, nest.shape, nest.strides[output], output_size);
    if (divisor == 0) return true;
    // Every element of the input begins at the same offset from the output's, modulo the divisor:
    // a[::2] and a[1::2].
    ptrdiff_t offset = (nest.data[output] - nest.data[input]) % divisor;
    if (offset < 0) offset += divisor;
    return offset < input_size || divisor - offset < output_size;
}

}  // namespace raptors
