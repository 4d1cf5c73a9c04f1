// Binary search without branches, of several keys at once: where the elements are far, their loads
// overlap.
#include "api/search.h"
#include "isa/loops.h"
#include "isa/table.h"

namespace raptors::RAPTORS_ISA {
namespace {

// NaN is greater than all else and equal to itself.
template <class T>
RAPTORS_INLINE bool is_less(T x, T y) {
    if constexpr (is_floating<T>)
        return (x < y) | ((y != y) & (x == x));
    else
        return x < y;
}

// Whether the element is before the place of the key.
template <bool behind, class T>
RAPTORS_INLINE bool is_before(T element, T key) {
    return behind ? !is_less(key, element) : is_less(element, key);
}

template <bool behind, int together, class T>
RAPTORS_INLINE void search_together(const T* sorted, ptrdiff_t n, const T* keys,
                                    int64_t* positions) {
    const T* first[together];
    for (int k = 0; k < together; ++k) first[k] = sorted;
    ptrdiff_t left = n;
    for (; left > 1; left -= left / 2)
        for (int k = 0; k < together; ++k)
            first[k] += is_before<behind>(first[k][left / 2 - 1], keys[k]) ? left / 2 : 0;
    for (int k = 0; k < together; ++k)
        positions[k] = first[k] - sorted + (left && is_before<behind>(*first[k], keys[k]));
}

template <bool behind, class T>
void search_all(const SearchBlock& b) {
    constexpr int together = 8;
    auto const* const sorted = reinterpret_cast<const T*>(b.sorted);
    auto const* const keys = reinterpret_cast<const T*>(b.keys);
    ptrdiff_t i = 0;
    for (; i + together <= b.n_keys; i += together)
        search_together<behind, together>(sorted, b.n, keys + i, b.positions + i);
    for (; i < b.n_keys; ++i) search_together<behind, 1>(sorted, b.n, keys + i, b.positions + i);
}

template <class T>
void search(const SearchBlock& b) noexcept {
    b.behind ? search_all<true, T>(b) : search_all<false, T>(b);
}

}  // namespace

void fill_search(SearchTable& table) noexcept {
    constexpr uint32_t types = ANY & COMPUTED;
#define DTYPE(id, type, ...)                  \
    if constexpr (includes(types, DType::id)) \
        table.search[static_cast<int>(DType::id)] = &search<Value<type>>;
#include "tables/dtypes.def"
}

}  // namespace raptors::RAPTORS_ISA
