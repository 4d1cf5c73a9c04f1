// Scans: the formulas of ops.def along an axis. A run of elements waits at each for the one before;
// what is computed at the same time is several runs.
#include "api/scan.h"
#include "api/elementwise.h"
#include "isa/loops.h"
#include "isa/table.h"

namespace raptors::RAPTORS_ISA {
namespace {

template <Op op>
struct Combine;
#define BINARY(name, types, signature, status, traits, accuracy, cost, formula, doc) \
    template <>                                                                      \
    struct Combine<Op::name> {                                                       \
        template <class T>                                                           \
        static RAPTORS_INLINE auto apply(T x, T y) {                                 \
            return formula;                                                          \
        }                                                                            \
    };
#include "tables/ops.def"

// The row whose formula combines elements of type T.
template <Op op, class T>
constexpr Op row_for = op;
#define BOOLEAN(name, row) \
    template <>            \
    constexpr Op row_for<Op::name, boolean> = Op::row;
#include "tables/ops.def"

template <class T>
RAPTORS_INLINE Value<T> load_value(const char* p) {
    return value<T>(*reinterpret_cast<const Unaligned<T>*>(p));
}
template <class T>
RAPTORS_INLINE void store_value(char* p, Value<T> x) {
    *reinterpret_cast<Unaligned<Value<T>>*>(p) = x;
}

// `lines` runs, element by element: as many as keep the processor busy while each waits. Stores
// might change what is read through `s`, so the loop has its own.
template <class F, class T, int lines>
void scan_lines(const ScanBlock& s) {
    ptrdiff_t const in_stride = s.in_stride, out_stride = s.out_stride;
    ptrdiff_t const in_row = s.in_row, out_row = s.out_row;
    const char* in = s.in;
    char* out = s.out;
    ptrdiff_t left = s.n;
    Value<T> last[lines];
    RAPTORS_WHOLE
    for (int k = 0; k < lines; ++k)
        last[k] = load_value<T>(s.continues ? out + k * out_row - out_stride : in + k * in_row);
    if (!s.continues) {
        RAPTORS_WHOLE
        for (int k = 0; k < lines; ++k) store_value<T>(out + k * out_row, last[k]);
        in += in_stride;
        out += out_stride;
        --left;
    }
    RAPTORS_UNROLL
    for (; left > 0; --left, in += in_stride, out += out_stride) {
        RAPTORS_WHOLE
        for (int k = 0; k < lines; ++k) {
            last[k] = static_cast<Value<T>>(F::apply(last[k], load_value<T>(in + k * in_row)));
            store_value<T>(out + k * out_row, last[k]);
        }
    }
}

constexpr int most_lines = 4;

template <class F, class T, int lines = most_lines>
void scan_up_to(const ScanBlock& s) {
    if constexpr (lines > 1)
        if (s.rows < lines) return scan_up_to<F, T, lines - 1>(s);
    scan_lines<F, T, lines>(s);
}

template <class F, class T>
void scan_by_row(ScanBlock s) {
    // Integers hardly wait: long runs that lie apart come best from memory one after the other.
    if constexpr (!is_floating<T>) {
        constexpr ptrdiff_t long_run = 64;
        auto const length = [](ptrdiff_t stride) { return stride < 0 ? -stride : stride; };
        bool const apart = s.n >= long_run && length(s.out_stride) < length(s.out_row);
        for (; apart && s.rows > 0; --s.rows) {
            scan_lines<F, T, 1>(s);
            s.in += s.in_row;
            s.out += s.out_row;
        }
    }
    for (; s.rows > 0; s.rows -= most_lines) {
        scan_up_to<F, T>(s);
        s.in += most_lines * s.in_row;
        s.out += most_lines * s.out_row;
    }
}

// Runs that lie side by side: a vector of them at a time. What was stored last stays in L1.
template <class F, class T>
void scan_side_by_side(const ScanBlock& s) {
    constexpr ptrdiff_t width = 8192 / size_of<T>;
    constexpr Core next = binary_core<F, Outputs<T>, T, T, 0>;
    for (ptrdiff_t first = 0; first < s.rows; first += width) {
        ptrdiff_t const rows = smaller(width, s.rows - first);
        const char* in = s.in + first * size_of<T>;
        char* out = s.out + first * size_of<T>;
        ptrdiff_t i = 0;
        if (!s.continues) {
            Run<T> const from(in);
            Outputs<T> const to(&out);
            RAPTORS_INDEPENDENT
            for (ptrdiff_t j = 0; j < rows; ++j) to.put(j, from[j]);
            i = 1;
        }
        for (; i < s.n; ++i) {
            char* const at = out + i * s.out_stride;
            char* const data[] = {at - s.out_stride, const_cast<char*>(in + i * s.in_stride), at};
            next(data, rows);
        }
    }
}

template <class F, class T>
void scan(const ScanBlock& s) noexcept {
    constexpr ptrdiff_t fewest = 8;
    bool const side_by_side = s.rows >= fewest && s.in_row == size_of<T> && s.out_row == size_of<T>;
    side_by_side ? scan_side_by_side<F, T>(s) : scan_by_row<F, T>(s);
}

enum class Accumulator { SAME, WIDE, BOOL };

// BOOL: arrays become booleans first.
constexpr uint32_t kernels_of(uint32_t types, Accumulator accumulator) {
    return accumulator == Accumulator::BOOL ? types_of_kind('B') : types & COMPUTED;
}

template <Op op, uint32_t types>
void fill_row(ScanFn* row) {
#define DTYPE(id, type, ...)                  \
    if constexpr (includes(types, DType::id)) \
        row[static_cast<int>(DType::id)] = scan<Combine<row_for<op, type>>, type>;
#include "tables/dtypes.def"
}

}  // namespace

void fill_scan(ScanTable& table) noexcept {
#define SCAN(combine, types, accumulator, doc)                          \
    fill_row<Op::combine, kernels_of(types, Accumulator::accumulator)>( \
        table.scan[static_cast<int>(Scan::combine)]);
#include "tables/scans.def"
}

}  // namespace raptors::RAPTORS_ISA
