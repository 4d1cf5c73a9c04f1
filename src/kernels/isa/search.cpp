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

// The slope of the last place serves while that stays between the same samples.
struct Line {
    int64_t next = -1;
    double slope;
};

// `next`: how many x are not above the place. Where the line gives NaN, as with infinite samples,
// the one from its other end may not.
RAPTORS_INLINE double on_line(const InterpolateBlock& b, double at, int64_t next, Line& line) {
    if (at != at) return at;
    if (next == 0) return b.left;
    int64_t const k = next - 1;
    if (next == b.n) return at > b.x[k] ? b.right : b.y[k];
    if (b.x[k] == at) return b.y[k];
    if (line.next != next) line = {next, (b.y[next] - b.y[k]) / (b.x[next] - b.x[k])};
    double const slope = line.slope;
    double value = slope * (at - b.x[k]) + b.y[k];
    if (value != value) {
        value = slope * (at - b.x[next]) + b.y[next];
        if (value != value && b.y[k] == b.y[next]) value = b.y[k];
    }
    return value;
}

constexpr int together = 8;

bool is_monotonic(const double* at) {
    int rises = 0, falls = 0;
    for (int k = 1; k < together; ++k) {
        rises += at[k - 1] <= at[k];
        falls += at[k - 1] >= at[k];
    }
    return rises == together - 1 || falls == together - 1;
}

// From the last place on, a few steps for each. False: some are farther.
bool walk(const InterpolateBlock& b, const double* at, int64_t last, int64_t* next) {
    constexpr int64_t most = 8;
    for (int k = 0; k < together; ++k) {
        int64_t const up = last + most, down = last - most;
        while (last < b.n && last < up && b.x[last] <= at[k]) ++last;
        while (last > 0 && last > down && b.x[last - 1] > at[k]) --last;
        if (last == up || last == down) return false;
        next[k] = last;
    }
    return true;
}

// Places that are all on the last line. False: some are not, or the line has to be looked at.
bool interpolate_on_line(const Line& line, const InterpolateBlock& b, const double* at,
                         double* out) {
    if (line.next < 0) return false;
    int64_t const k = line.next - 1;
    double const x = b.x[k], y = b.y[k], end = b.x[line.next], slope = line.slope;
    int on = 0;
    for (int i = 0; i < together; ++i) on += (at[i] >= x) & (at[i] < end);
    if (on != together) return false;
    int numbers = 0;
    for (int i = 0; i < together; ++i) {
        double const value = slope * (at[i] - x) + y;
        numbers += value == value;
        out[i] = at[i] == x ? y : value;
    }
    return numbers == together;
}

void interpolate(const InterpolateBlock& b) noexcept {
    int64_t next[together] = {};
    Line line;
    ptrdiff_t i = 0;
    for (; i + together <= b.n_at; i += together) {
        const double* const at = b.at + i;
        if (interpolate_on_line(line, b, at, b.out + i)) continue;
        if (!is_monotonic(at) || !walk(b, at, next[together - 1], next))
            search_together<true, together>(b.x, b.n, at, next);
        for (int k = 0; k < together; ++k) b.out[i + k] = on_line(b, at[k], next[k], line);
    }
    for (; i < b.n_at; ++i) {
        search_together<true, 1>(b.x, b.n, b.at + i, next);
        b.out[i] = on_line(b, b.at[i], next[0], line);
    }
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
    table.interpolate = &interpolate;
}

}  // namespace raptors::RAPTORS_ISA
