// Equations A X = B and determinants of small matrices, one matrix in each lane.
#include <utility>

#include "api/solve.h"
#include "isa/fused.h"
#include "isa/table.h"

namespace raptors::RAPTORS_ISA {
namespace {

using V = Vec<double>;  // floats, too, are computed in double, as NumPy has it
using Mask = decltype(V{} < V{});
constexpr int n_lanes = lanes<double>;

// Where the operand of each lane begins. Lanes without one repeat the last, which raises no
// floating-point status of its own.
struct LanePointers {
    const char* lane[n_lanes];
    LanePointers(const char* first, ptrdiff_t next, ptrdiff_t count) {
        for (int i = 0; i < n_lanes; ++i) lane[i] = first + (i < count ? i : count - 1) * next;
    }
};

template <class T>
constexpr int stored_bytes = n_lanes * static_cast<int>(sizeof(T));
template <class T>
using Stored = Vec<T, stored_bytes<T>>;

template <class T, int... i>
RAPTORS_INLINE V gather(const LanePointers& from, ptrdiff_t offset,
                        std::integer_sequence<int, i...>) {
    return __builtin_convertvector((Stored<T>{get<T>(from.lane[i] + offset)...}), V);
}
template <class T>
RAPTORS_INLINE V gather(const LanePointers& from, ptrdiff_t offset) {
    return gather<T>(from, offset, std::make_integer_sequence<int, n_lanes>());
}

template <class T>
RAPTORS_INLINE void scatter(V v, char* to, ptrdiff_t next, ptrdiff_t count) {
    T element[n_lanes];
    put(element, __builtin_convertvector(v, Stored<T>));
    if (count >= n_lanes)
        for (int i = 0; i < n_lanes; ++i) put(to + i * next, element[i]);
    else
        for (ptrdiff_t i = 0; i < count; ++i) put(to + i * next, element[i]);
}

// In all lanes.
RAPTORS_INLINE bool holds(Mask m) {
    return reduce_lanes<int64_t>(as<int64_t>(m), [](int64_t x, int64_t y) { return x & y; }) != 0;
}

RAPTORS_INLINE V magnitude(V x) { return as<double>(as<int64_t>(x) & INT64_MAX); }

template <class X>
RAPTORS_INLINE void exchange(Mask chosen, X& x, X& y) {
    X const before = x;
    x = chosen ? y : x;
    y = chosen ? before : y;
}

// P A = L U. `order` 0: known at run time only.
template <int order>
struct Factors {
    static constexpr int most = order ? order : most_small;
    V a[most][most];  // U, and L below its diagonal
    Mask row[most];   // which row of A each one is
    V sign;           // of P
    V loss;           // product of the columns' largest elements by their pivots, where that is > 1
};

template <class T, int order>
RAPTORS_INLINE void read(Factors<order>& f, int n, const Equations& s, ptrdiff_t begin) {
    LanePointers const from(s.a + begin * s.a_next, s.a_next, s.count - begin);
    for (int i = 0; i < n; ++i) {
        f.row[i] = Mask{} + i;
        for (int j = 0; j < n; ++j) f.a[i][j] = gather<T>(from, i * s.a_row + j * s.a_column);
    }
}

// Column by column, each sum by itself, products with the inverse of a pivot: OpenBLAS's order of
// LAPACK's getf2, so that most results are NumPy's to the last bit. The pivot is the largest
// element, the first of equal ones.
template <int order>
RAPTORS_INLINE void factorise(Factors<order>& f, int n) {
    auto& a = f.a;
    f.sign = f.loss = V{} + 1;
    for (int j = 0; j < n; ++j) {
        V largest{};
        for (int i = 0; i < n; ++i) {
            V const size = magnitude(a[i][j]);
            largest = largest < size ? size : largest;
        }
        for (int i = 1; i < n && j > 0; ++i) {
            V sum = a[i][0] * a[0][j];
            for (int k = 1; k < i && k < j; ++k) sum = fused(a[i][k], a[k][j], sum);
            a[i][j] -= sum;
        }
        V best = magnitude(a[j][j]);
        Mask place = Mask{} + j;
        for (int i = j + 1; i < n; ++i) {
            V const size = magnitude(a[i][j]);
            place = best < size ? Mask{} + i : place;
            best = best < size ? size : best;
        }
        f.sign = place == j ? f.sign : -f.sign;
        for (int i = j + 1; i < n; ++i) {
            Mask const chosen = place == i;
            for (int k = 0; k < n; ++k) exchange(chosen, a[j][k], a[i][k]);
            exchange(chosen, f.row[j], f.row[i]);
        }
        V const inverse = 1 / (largest == 0 ? V{} + 1 : a[j][j]);
        V const loss = largest * magnitude(inverse);
        f.loss *= loss < 1 ? V{} + 1 : loss;
        for (int i = j + 1; i < n; ++i) a[i][j] *= inverse;
    }
}

// Beyond, pivots may be little but rounding errors: other ways to round find other ones, or zero.
// (A pivot that is one loses 2^52 with those before it.)
constexpr double most_loss = 0x1p44;

template <class T, int order>
RAPTORS_INLINE bool solve(const Equations& s) {
    int const n = order ? order : s.n;
    Mask sound = Mask{} == 0;
    Factors<order> f;
    for (ptrdiff_t begin = 0; begin < s.count; begin += n_lanes) {
        if (begin == 0 || s.a_next) {
            read<T>(f, n, s, begin);
            factorise(f, n);
            sound &= f.loss <= most_loss;
        }
        LanePointers const b(s.b + begin * s.b_next, s.b_next, s.count - begin);
        V nothing{};
        for (ptrdiff_t c = 0; c < s.columns; ++c) {
            V x[f.most];
            if (s.b) {
                V in[f.most];
                for (int i = 0; i < n; ++i) in[i] = gather<T>(b, i * s.b_row + c * s.b_column);
                for (int i = 0; i < n; ++i) {
                    x[i] = in[0];
                    for (int k = 1; k < n; ++k) x[i] = f.row[i] == k ? in[k] : x[i];
                }
            } else {
                for (int i = 0; i < n; ++i) x[i] = f.row[i] == c ? V{} + 1 : V{};
            }
            for (int i = 1; i < n; ++i)
                for (int k = 0; k < i; ++k) x[i] = fused(-f.a[i][k], x[k], x[i]);
            for (int i = n - 1; i >= 0; --i) {
                for (int k = n - 1; k > i; --k) x[i] = fused(-f.a[i][k], x[k], x[i]);
                x[i] /= f.a[i][i];
                nothing += x[i] - x[i];
            }
            char* const to = s.out + begin * s.out_next + c * s.out_column;
            for (int i = 0; i < n; ++i)
                scatter<T>(x[i], to + i * s.out_row, s.out_next, s.count - begin);
        }
        sound &= nothing == 0;
    }
    return holds(sound);
}

template <class T, int order>
RAPTORS_INLINE bool determinant(const Equations& s) {
    int const n = order ? order : s.n;
    Mask sound = Mask{} == 0;
    for (ptrdiff_t begin = 0; begin < s.count; begin += n_lanes) {
        Factors<order> f;
        read<T>(f, n, s, begin);
        factorise(f, n);
        V product = f.sign;
        for (int i = 0; i < n; ++i) product *= f.a[i][i];
        sound &= (f.loss <= most_loss) & (product - product == 0);
        // A column of zeros: no negative zero.
        scatter<T>(product + 0.0, s.out + begin * s.out_next, s.out_next, s.count - begin);
    }
    return holds(sound);
}

// run(order), whose loops the compiler then unrolls for the smallest ones.
template <class Run>
RAPTORS_INLINE bool by_order(int n, const Run& run) {
    switch (n) {
        case 1:
            return run(std::integral_constant<int, 1>{});
        case 2:
            return run(std::integral_constant<int, 2>{});
        case 3:
            return run(std::integral_constant<int, 3>{});
        case 4:
            return run(std::integral_constant<int, 4>{});
        default:
            return run(std::integral_constant<int, 0>{});
    }
}

template <class T>
void fill(SolveTable& table, DType t) noexcept {
    table.solve[static_cast<int>(t)] = [](const Equations& s) noexcept {
        return by_order(s.n, [&](auto order) { return solve<T, order>(s); });
    };
    table.determinant[static_cast<int>(t)] = [](const Equations& s) noexcept {
        return by_order(s.n, [&](auto order) { return determinant<T, order>(s); });
    };
}

}  // namespace

void fill_solve(SolveTable& table) noexcept {
    fill<float>(table, DType::float32);
    fill<double>(table, DType::float64);
}

}  // namespace raptors::RAPTORS_ISA
