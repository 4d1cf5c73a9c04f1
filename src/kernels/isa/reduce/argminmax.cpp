// Indices of extremes.
#include "isa/reduce/extreme.h"
#include "isa/reduce/truth.h"

namespace raptors::RAPTORS_ISA {
namespace {

template <class T, bool largest>
struct Arg {
    using F = Extreme<T, largest, false>;
    static bool is_nan(T x) {
        if constexpr (floating<T>) return x != x;
        return false;
    }
    static bool better(T x, T best) { return largest ? x > best : x < best; }
    static constexpr ptrdiff_t block = 16384 / size_of<T>;

    // Blocks with a strictly better extreme are noted, the element is looked for in the last of
    // them.
    static ptrdiff_t dense(const char* p, ptrdiff_t n) {
        T best = get<T>(p);
        if (is_nan(best)) return 0;
        ptrdiff_t found = 0;
        for (ptrdiff_t i = 0; i < n; i += block) {
            T const x =
                F::dense(get<T>(p + i * size_of<T>), p + i * size_of<T>, smaller(block, n - i));
            if (!better(x, best) && !is_nan(x)) continue;
            best = x;
            found = i;
            if (is_nan(x)) break;
        }
        return found + first_equal(p + found * size_of<T>, n - found, best);
    }
    // Where the block's extreme is; it is there.
    static ptrdiff_t first_equal(const char* p, ptrdiff_t n, T best) {
        using V = Vec<T>;
        bool const nan = is_nan(best);
        V const wanted = splat<T>(best);
        ptrdiff_t i = 0;
        for (; i + 4 * lanes<T> <= n; i += 4 * lanes<T>) {
            const char* const q = p + i * size_of<T>;
            V const a = get<V>(q), b = get<V>(q + vector_bytes), c = get<V>(q + 2 * vector_bytes),
                    d = get<V>(q + 3 * vector_bytes);
            auto const hit =
                nan ? ((a != a) | (b != b)) | ((c != c) | (d != d))
                    : ((a == wanted) | (b == wanted)) | ((c == wanted) | (d == wanted));
            uint64_t any = 0;
            for (int k = 0; k < vector_bytes; k += 8)
                any |= get<uint64_t>(reinterpret_cast<const char*>(&hit) + k);
            if (any) break;
        }
        for (;; ++i) {
            T const x = get<T>(p + i * size_of<T>);
            if (nan ? is_nan(x) : x == best) return i;
        }
    }
    static ptrdiff_t strided(const char* p, ptrdiff_t n, ptrdiff_t stride) {
        T best = get<T>(p);
        ptrdiff_t found = 0;
        for (ptrdiff_t i = 0; i < n && !is_nan(best); ++i) {
            T const x = get<T>(p + i * stride);
            if (better(x, best) || is_nan(x)) {
                best = x;
                found = i;
            }
        }
        return found;
    }
    static void update(T& best, int64_t& found, T x, ptrdiff_t i) {
        if (!better(x, best) && !(is_nan(x) && !is_nan(best))) return;
        best = x;
        found = i;
    }
    static constexpr ptrdiff_t step = 4 * lanes<T>;
    // May any of the next columns change? Rarely, in the long run.
    static bool changes(const T* best, const char* p) {
        using V = Vec<T>;
        auto lane = [&](int k) {
            V const x = get<V>(p + k * vector_bytes);
            auto const b =
                largest ? x > get<V>(best + k * lanes<T>) : x < get<V>(best + k * lanes<T>);
            if constexpr (floating<T>)
                return b | (x != x);
            else
                return b;
        };
        auto const hit = (lane(0) | lane(1)) | (lane(2) | lane(3));
        uint64_t any = 0;
        for (int k = 0; k < vector_bytes; k += 8)
            any |= get<uint64_t>(reinterpret_cast<const char*>(&hit) + k);
        return any;
    }
    static void columns(const ReduceBlock& r) {
        constexpr ptrdiff_t width = 512;
        T best[width];
        int64_t found[width];
        for (ptrdiff_t column = 0; column < r.rows; column += width) {
            ptrdiff_t const count = smaller(width, r.rows - column);
            const char* const in = r.in + column * r.in_row;
            for (ptrdiff_t j = 0; j < count; ++j) {
                best[j] = get<T>(in + j * r.in_row);
                found[j] = 0;
            }
            for (ptrdiff_t i = 1; i < r.n; ++i) {
                const char* const row = in + i * r.in_stride;
                ptrdiff_t j = 0;
                if (r.in_row == size_of<T>)
                    for (; j + step <= count; j += step)
                        if (changes(best + j, row + j * size_of<T>))
                            for (ptrdiff_t k = j; k < j + step; ++k)
                                update(best[k], found[k], get<T>(row + k * size_of<T>), i);
                for (; j < count; ++j) update(best[j], found[j], get<T>(row + j * r.in_row), i);
            }
            for (ptrdiff_t j = 0; j < count; ++j)
                put<int64_t>(r.out + (column + j) * r.out_row, found[j]);
        }
    }
    static void run(const ReduceBlock& r) noexcept {
        if (!by_row(r)) return columns(r);
        for (ptrdiff_t i = 0; i < r.rows; ++i) {
            const char* const p = r.in + i * r.in_row;
            put<int64_t>(r.out + i * r.out_row,
                         r.in_stride == size_of<T> ? dense(p, r.n) : strided(p, r.n, r.in_stride));
        }
    }
};

// The first element that is true, or false.
template <bool largest>
struct Arg<boolean, largest> {
    static void run(const ReduceBlock& r) noexcept {
        for (ptrdiff_t i = 0; i < r.rows; ++i) {
            const char* const p = r.in + i * r.in_row;
            ptrdiff_t j = 0;
            if (r.in_stride == 1)
                while (r.n - j > 256 &&
                       Truth<boolean, !largest>::dense(!largest, p + j, 256) == !largest)
                    j += 256;
            while (j < r.n && (get<uint8_t>(p + j * r.in_stride) != 0) != largest) ++j;
            put<int64_t>(r.out + i * r.out_row, j < r.n ? j : 0);
        }
    }
};

template <class T>
void fill(ReduceTable& table, DType t) {
    if constexpr (is_elementary<T>) {
        int const column = static_cast<int>(t);
        table.reduce[static_cast<int>(Combine::argmin)][column] = Arg<T, false>::run;
        table.reduce[static_cast<int>(Combine::argmax)][column] = Arg<T, true>::run;
    }
}

}  // namespace

void fill_argminmax(ReduceTable& table) noexcept {
#define DTYPE(id, type, ...) fill<type>(table, DType::id);
#include "tables/dtypes.def"
}

}  // namespace raptors::RAPTORS_ISA
