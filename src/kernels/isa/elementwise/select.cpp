// TERNARY rows: clip and where. Like elementwise.cpp, compiled without care for FP flags.
#include "api/elementwise.h"
#include "isa/loops.h"
#include "isa/table.h"

namespace raptors::RAPTORS_ISA {
namespace {

// x is T, or the condition of `where`: uint8_t 0 or 1.
#define TERNARY(name, types, signature, status, traits, accuracy, cost, formula, doc) \
    struct name##_formula {                                                           \
        template <class X, class T>                                                   \
        static RAPTORS_INLINE auto apply(X x, T y, T z) {                             \
            return formula;                                                           \
        }                                                                             \
        static constexpr uint32_t dtypes = types;                                     \
    };
#include "tables/ops.def"

// NumPy's rule for scalar bounds: an element equal to a bound stays as it is (-0.0 and 0.0), a NaN
// bound takes all.
template <class T>
void clip_between(char* const* data, ptrdiff_t n) noexcept {
    T const low = One<T>(data[1])[0];
    T const high = One<T>(data[2])[0];
    Run<T> const x(data[0]);
    auto const out = reinterpret_cast<Unaligned<T>*>(data[3]);
    if (is_nan(low) || is_nan(high)) {
        T const nan = is_nan(low) ? low : high;
        RAPTORS_INDEPENDENT
        for (ptrdiff_t i = 0; i < n; ++i) out[i] = nan;
        return;
    }
    RAPTORS_INDEPENDENT
    for (ptrdiff_t i = 0; i < n; ++i) {
        T const above = pick(x[i] < low, low, x[i]);
        out[i] = pick(above > high, high, above);
    }
}

template <class T>
struct ClipKernel {
    using C = Computed<T>;
    static constexpr Cores cores = {3,
                                    1,
                                    {size_of<T>, size_of<T>, size_of<T>, size_of<T>},
                                    {ternary_core<clip_formula, Outputs<C>, C, C, 0>, nullptr,
                                     nullptr, nullptr, nullptr, nullptr, clip_between<C>},
                                    is_converted<T> ? 15U : 0U};
    static void run(const Block& b, const void*) noexcept {
        // Bounds that are scalars of each row keep their rule: rows must not be packed together.
        bool const rows_have_bounds =
            b.inner[1] == 0 && b.inner[2] == 0 && (b.outer[1] != 0 || b.outer[2] != 0);
        if (b.rows <= 1 || b.n <= 1 || !rows_have_bounds) return drive(b, cores);
        Block row = b;
        row.rows = 1;
        for (ptrdiff_t r = 0; r < b.rows; ++r) {
            drive(row, cores);
            for (int i = 0; i < cores.arguments(); ++i) row.data[i] += b.outer[i];
        }
    }
};

// By size only: the bytes of booleans and NaNs stay as they are.
template <class T>
struct WhereKernel {
    template <unsigned ones>
    static constexpr Core core = ternary_core<where_formula, Outputs<T>, boolean, T, ones>;
    static constexpr Cores cores = {
        3,
        1,
        {1, size_of<T>, size_of<T>, size_of<T>},
        {core<0>, nullptr, core<2>, nullptr, core<4>, nullptr, core<6>}};
    static void run(const Block& b, const void*) noexcept { drive(b, cores); }
};

template <class T>
void fill(ElementwiseTable& table, DType t) {
    int const column = static_cast<int>(t);
    if constexpr (includes(clip_formula::dtypes, dtype_of_type<T>))
        table.elementwise[static_cast<int>(Op::clip)][column] = &ClipKernel<T>::run;
    if constexpr (includes(where_formula::dtypes, dtype_of_type<T>))
        table.elementwise[static_cast<int>(Op::where)][column] = &WhereKernel<Unsigned<T>>::run;
}

}  // namespace

void fill_select(ElementwiseTable& table) noexcept {
#define DTYPE(id, type, ...) fill<type>(table, DType::id);
#include "tables/dtypes.def"
}

}  // namespace raptors::RAPTORS_ISA
