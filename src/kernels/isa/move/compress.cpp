// a[mask]: the elements where a mask is true, in order.
#include <cstring>

#include "api/move.h"
#include "isa/loops.h"
#include "isa/table.h"

namespace raptors::RAPTORS_ISA {
namespace {

constexpr uint64_t all_ones = 0x0101010101010101;

ptrdiff_t count_true(const char* mask, ptrdiff_t n) noexcept {
    ptrdiff_t total = 0;
    for (ptrdiff_t begin = 0; begin < n; begin += 128) {  // counts that fit a byte
        ptrdiff_t const end = n - begin < 128 ? n : begin + 128;
        uint8_t part = 0;
        RAPTORS_INDEPENDENT
        for (ptrdiff_t i = begin; i < end; ++i)
            part = static_cast<uint8_t>(part + (mask[i] != 0 ? 1 : 0));
        total += part;
    }
    return total;
}

// Elements are moved without a branch on the mask: each is stored, and the next one over it unless
// it counts. `total` of them count: nothing is stored behind the last.
template <class U>
void compress(const char* mask, const void* in, void* to, ptrdiff_t n, ptrdiff_t total) noexcept {
    auto const* const from = static_cast<const Unaligned<U>*>(in);
    auto* const out = static_cast<Unaligned<U>*>(to);
    ptrdiff_t i = 0, k = 0;
    for (; i + 8 <= n && k + 8 <= total; i += 8) {
        uint64_t eight;
        std::memcpy(&eight, mask + i, sizeof eight);
        if (!eight) continue;
        if (eight == all_ones) {
            std::memcpy(out + k, from + i, 8 * sizeof(U));
            k += 8;
            continue;
        }
        for (int j = 0; j < 8; ++j) {
            out[k] = from[i + j];
            k += mask[i + j] != 0;
        }
    }
    for (; k < total; ++i) {
        out[k] = from[i];
        k += mask[i] != 0;
    }
}

}  // namespace

void fill_compress(MoveTable& table) noexcept {
    table.count_true = &count_true;
    table.compress[0] = &compress<uint8_t>;
    table.compress[1] = &compress<uint16_t>;
    table.compress[2] = &compress<uint32_t>;
    table.compress[3] = &compress<uint64_t>;
    table.compress[4] = &compress<UnsignedOf<16>::type>;
}

}  // namespace raptors::RAPTORS_ISA
