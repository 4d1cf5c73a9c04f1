// Elements by their indices along an axis.
#include "api/move.h"
#include "isa/move/element.h"
#include "isa/table.h"

namespace raptors::RAPTORS_ISA {
namespace {

constexpr int together = 4;
constexpr ptrdiff_t few = 64;

// Another thread may write to the indices: what is tested must be what is used.
RAPTORS_INLINE int64_t index_at(const int64_t* indices, ptrdiff_t i) {
    return __atomic_load_n(indices + i, __ATOMIC_RELAXED);
}

// What becomes of an index that is not in 0 .. length - 1. False: nothing.
bool bring_in_range(int64_t& at, int64_t length, IndexMode mode) {
    if (at >= 0 && at < length) return true;
    switch (mode) {
        case IndexMode::raise:
            at += at < 0 ? length : 0;
            return at >= 0 && at < length;
        case IndexMode::wrap:
            at %= length;
            at += at < 0 ? length : 0;
            return true;
        case IndexMode::clip:
            at = at < 0 ? 0 : length - 1;
            return true;
    }
    return false;
}

// One test for four indices; their offsets are never stored, and nothing is asked for ahead. On
// Zen 4, in ns an element of float32 from L1, L2, L3: 0.41, 0.50, 0.93; with a test for each 0.55,
// 0.56, 1.02; with prefetches 0.62, 0.63, 0.98; offsets in pieces, by vectors, 0.64, 0.83, 1.8.
template <class Copy>
bool take_row(const TakeBlock& b, char* to, const char* from, Copy copy_one) {
    const int64_t* const indices = b.indices;
    int64_t const length = b.length, step = b.from_step;
    ptrdiff_t const to_step = b.to_step, n = b.n;
    ptrdiff_t i = 0;
    for (; i + together <= n; i += together) {
        int64_t at[together];
        bool outside = false;
        RAPTORS_WHOLE
        for (int k = 0; k < together; ++k) {
            at[k] = index_at(indices, i + k);
            outside |= static_cast<uint64_t>(at[k]) >= static_cast<uint64_t>(length);
        }
        if (outside) [[unlikely]]
            for (int64_t& x : at)
                if (!bring_in_range(x, length, b.mode)) return false;
        RAPTORS_WHOLE
        for (int k = 0; k < together; ++k, to += to_step) copy_one(to, from + at[k] * step);
    }
    for (; i < n; ++i, to += to_step) {
        int64_t at = index_at(indices, i);
        if (!bring_in_range(at, length, b.mode)) return false;
        copy_one(to, from + at * step);
    }
    return true;
}

// Few indices, whose offsets are those of every row.
template <class Copy>
bool take_few(const TakeBlock& b, Copy copy_one) {
    int64_t offsets[few];
    for (ptrdiff_t i = 0; i < b.n; ++i) {
        offsets[i] = index_at(b.indices, i);
        if (!bring_in_range(offsets[i], b.length, b.mode)) return false;
        offsets[i] *= b.from_step;
    }
    for (ptrdiff_t r = 0; r < b.rows; ++r) {
        char* to = b.to + r * b.to_row;
        const char* const from = b.from + r * b.from_row;
        for (ptrdiff_t i = 0; i < b.n; ++i, to += b.to_step) copy_one(to, from + offsets[i]);
    }
    return true;
}

bool take(const TakeBlock& block) noexcept {
    bool in_range = true;
    with_copy(block.size, [&](auto copy_one) {
        TakeBlock const b = block;  // which nothing that is stored can change
        if (b.rows > 1 && b.n <= few) {
            in_range = take_few(b, copy_one);
            return;
        }
        for (ptrdiff_t r = 0; r < b.rows && in_range; ++r)
            in_range = take_row(b, b.to + r * b.to_row, b.from + r * b.from_row, copy_one);
    });
    return in_range;
}

}  // namespace

void fill_take(MoveTable& table) noexcept { table.take = &take; }

}  // namespace raptors::RAPTORS_ISA
