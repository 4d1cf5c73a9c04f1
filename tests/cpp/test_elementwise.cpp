// Every elementwise kernel and cast of every ISA against a scalar reference written here, on memory
// between guard pages.
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "api/table.h"
#include "check.h"
#include "dispatch.h"
#include "frame/fp/fpstatus.h"

using namespace raptors;

namespace {

// Memory between two pages that must not be touched.
class Guarded {
public:
    static constexpr size_t bytes = size_t{1} << 21;
    Guarded() {
        page_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        void* const p =
            mmap(nullptr, bytes + 2 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) std::abort();
        first_ = static_cast<char*>(p) + page_;
        if (mprotect(first_, bytes, PROT_READ | PROT_WRITE) != 0) std::abort();
    }
    ~Guarded() { munmap(first_ - page_, bytes + 2 * page_); }
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;
    char* begin() const { return first_; }
    char* end() const { return first_ + bytes; }

private:
    size_t page_;
    char* first_;
};

Guarded arenas[max_operands];

uint64_t random_state = 88172645463325252U;
uint64_t random_bits() {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

template <class T>
T from_bytes(const char* p) {
    T x;
    std::memcpy(&x, p, sizeof x);
    return x;
}

// Reference: one element, by the definition in NumPy's manual.

template <class T>
constexpr bool floating = std::is_floating_point_v<T>;

template <class T>
T first_nan_or(T x, T y, T otherwise) {
    if (std::isnan(x)) return x;
    if (std::isnan(y)) return y;
    return otherwise;
}

// The low bits of a 128-bit result.
template <class T>
T low_bits(__int128 x) {
    return static_cast<T>(static_cast<unsigned __int128>(x));
}

template <class T>
T integer_reciprocal(T x) {
    if (x == 0)
        return sizeof(T) >= 4 && std::is_signed_v<T> ? std::numeric_limits<T>::min()
                                                     : static_cast<T>(0);
    return static_cast<T>(1 / static_cast<__int128>(x));
}

template <class T>
T shift(T x, T y, bool left) {
    bool const inside =
        static_cast<__int128>(y) >= 0 && static_cast<__int128>(y) < static_cast<int>(8 * sizeof(T));
    if (left)
        return inside ? low_bits<T>(static_cast<__int128>(static_cast<uint64_t>(x))
                                    << static_cast<int>(y))
                      : T(0);
    if (!inside) return std::is_signed_v<T> && x < 0 ? static_cast<T>(-1) : T(0);
    return static_cast<T>(static_cast<__int128>(x) >> static_cast<int>(y));
}

// A result is either a T or a truth value.
template <class T>
struct Answer {
    T same;
    bool boolean;
};

template <class T>
Answer<T> reference(Op op, bool scalar_bounds, T x, T y, T z) {
    using Wide = std::conditional_t<floating<T>, T, __int128>;
    Wide const a = static_cast<Wide>(x), b = static_cast<Wide>(y);
    auto const same = [](T r) { return Answer<T>{r, false}; };
    auto const truth = [](bool r) { return Answer<T>{T(0), r}; };
    switch (op) {
        case Op::equal:
            return truth(x == y);
        case Op::not_equal:
            return truth(!(x == y));
        case Op::less:
            return truth(x < y);
        case Op::less_equal:
            return truth(x <= y);
        case Op::greater:
            return truth(y < x);
        case Op::greater_equal:
            return truth(y <= x);
        case Op::logical_and:
            return truth(x != 0 && y != 0);
        case Op::logical_or:
            return truth(x != 0 || y != 0);
        case Op::logical_xor:
            return truth((x != 0) != (y != 0));
        case Op::logical_not:
            return truth(x == 0);
        case Op::positive:
            return same(x);
        default:
            break;
    }
    if constexpr (floating<T>) {
        switch (op) {
            case Op::add:
                return same(a + b);
            case Op::subtract:
                return same(a - b);
            case Op::multiply:
                return same(a * b);
            case Op::divide:
                return same(a / b);
            case Op::negative:
                return same(std::copysign(x, std::signbit(x) ? T(1) : T(-1)));
            case Op::absolute:
            case Op::fabs:
                return same(std::copysign(x, T(1)));
            case Op::sign:
                return same(std::isnan(x) ? x : x > 0 ? T(1) : x < 0 ? T(-1) : T(0));
            case Op::square:
                return same(x * x);
            case Op::sqrt:
                return same(std::sqrt(x));
            case Op::reciprocal:
                return same(T(1) / x);
            case Op::minimum:
                return same(first_nan_or(x, y, x < y ? x : y));
            case Op::maximum:
                return same(first_nan_or(x, y, x > y ? x : y));
            case Op::fmin:
                return same(std::isnan(y) ? x : std::isnan(x) ? y : x < y ? x : y);
            case Op::fmax:
                return same(std::isnan(y) ? x : std::isnan(x) ? y : x > y ? x : y);
            case Op::isnan:
                return truth(std::isnan(x));
            case Op::isinf:
                return truth(std::isinf(x));
            case Op::isfinite:
                return truth(std::isfinite(x));
            case Op::signbit:
                return truth(std::signbit(x));
            case Op::copysign:
                return same(std::copysign(x, y));
            case Op::floor:
                return same(std::floor(x));
            case Op::ceil:
                return same(std::ceil(x));
            case Op::trunc:
                return same(std::trunc(x));
            case Op::rint:
                return same(std::nearbyint(x));
            case Op::clip: {
                if (scalar_bounds) {
                    if (std::isnan(y) || std::isnan(z)) return same(std::isnan(y) ? y : z);
                    T const above = x < y ? y : x;
                    return same(above > z ? z : above);
                }
                T const above = first_nan_or(x, y, x > y ? x : y);
                return same(first_nan_or(above, z, above < z ? above : z));
            }
            default:
                break;
        }
    } else {
        switch (op) {
            case Op::add:
                return same(low_bits<T>(a + b));
            case Op::subtract:
                return same(low_bits<T>(a - b));
            case Op::multiply:
                return same(static_cast<T>(static_cast<unsigned __int128>(a) *
                                           static_cast<unsigned __int128>(b)));
            case Op::square:
                return same(static_cast<T>(static_cast<unsigned __int128>(a) *
                                           static_cast<unsigned __int128>(a)));
            case Op::negative:
                return same(low_bits<T>(-a));
            case Op::absolute:
                return same(low_bits<T>(a < 0 ? -a : a));
            case Op::sign:
                return same(static_cast<T>(a > 0 ? 1 : a < 0 ? -1 : 0));
            case Op::reciprocal:
                return same(integer_reciprocal(x));
            case Op::minimum:
            case Op::fmin:
                return same(a < b ? x : y);
            case Op::maximum:
            case Op::fmax:
                return same(a > b ? x : y);
            case Op::bitwise_and:
                return same(static_cast<T>(x & y));
            case Op::bitwise_or:
                return same(static_cast<T>(x | y));
            case Op::bitwise_xor:
                return same(static_cast<T>(x ^ y));
            case Op::invert:
                return same(static_cast<T>(~x));
            case Op::left_shift:
                return same(shift(x, y, true));
            case Op::right_shift:
                return same(shift(x, y, false));
            case Op::isnan:
            case Op::isinf:
                return truth(false);
            case Op::isfinite:
                return truth(true);
            case Op::clip: {
                T const above = x > y ? x : y;
                return same(above < z ? above : z);
            }
            default:
                break;
        }
    }
    std::printf("no reference for %s\n", op_info[static_cast<size_t>(op)].name);
    std::abort();
}

// Booleans: the rows that NumPy defines for them.
bool boolean_reference(Op op, bool x, bool y) {
    switch (op) {
        case Op::add:
        case Op::maximum:
        case Op::fmax:
        case Op::bitwise_or:
            return x || y;
        case Op::multiply:
        case Op::minimum:
        case Op::fmin:
        case Op::bitwise_and:
            return x && y;
        case Op::bitwise_xor:
            return x != y;
        case Op::invert:
            return !x;
        case Op::absolute:
            return x;
        default:
            return reference<uint8_t>(op, false, x, y, 0).boolean;
    }
}

// Test values: edge cases half of the time.
template <class T>
T sample() {
    uint64_t const r = random_bits();
    if constexpr (std::is_same_v<T, boolean>) {
        constexpr uint8_t bytes[] = {0, 0, 0, 1, 1, 2, 128, 255};
        return static_cast<boolean>(bytes[r % 8]);
    } else if constexpr (floating<T>) {
        using L = std::numeric_limits<T>;
        T const edges[] = {T(0),
                           -T(0),
                           T(1),
                           T(-1),
                           T(0.5),
                           T(-0.5),
                           T(1.5),
                           T(2.5),
                           T(-0.3),
                           T(-2.7),
                           L::infinity(),
                           -L::infinity(),
                           L::quiet_NaN(),
                           -L::quiet_NaN(),
                           L::max(),
                           L::lowest(),
                           L::min(),
                           L::denorm_min(),
                           -L::denorm_min(),
                           T(8388607.5),
                           T(4503599627370495.5),
                           T(1e15)};
        if (r & 1) return edges[(r >> 8) % (sizeof edges / sizeof edges[0])];
        T const scale = (r & 2) ? T(100) : T(1e12);
        return (static_cast<T>(r >> 40) / T(1 << 24) - T(0.5)) * scale;
    } else {
        using L = std::numeric_limits<T>;
        T const edges[] = {T(0),
                           T(1),
                           static_cast<T>(-1),
                           L::min(),
                           L::max(),
                           T(2),
                           T(3),
                           T(7),
                           T(8),
                           T(31),
                           T(32),
                           T(63),
                           T(64),
                           static_cast<T>(L::max() - 1),
                           static_cast<T>(L::min() + 1)};
        if (r & 1) return edges[(r >> 8) % (sizeof edges / sizeof edges[0])];
        return static_cast<T>(r >> 13);
    }
}

// Where the elements of an operand lie.
enum class Shape {
    run,         // contiguous, rows too
    one,         // a single element
    skip,        // every second element
    back,        // every second element, backwards
    mirrored,    // contiguous, backwards
    gaps,        // contiguous rows, 3 bytes between them
    columns,     // the transposed order
    same_row,    // one contiguous row for all
    row_scalar,  // one element per row
};

struct Placed {
    char* first;  // element (0, 0)
    char* low;    // the bytes it lies in
    char* high;
    ptrdiff_t inner, outer;
};

Placed place(Guarded& arena, Shape shape, ptrdiff_t size, ptrdiff_t n, ptrdiff_t rows, bool at_end,
             ptrdiff_t shift) {
    ptrdiff_t inner = size, outer = n * size;
    switch (shape) {
        case Shape::run:
            break;
        case Shape::one:
            inner = outer = 0;
            break;
        case Shape::skip:
            inner = 2 * size;
            outer = (2 * n + 1) * size;
            break;
        case Shape::back:
            inner = -2 * size;
            outer = -(2 * n + 1) * size;
            break;
        case Shape::mirrored:
            inner = -size;
            outer = -n * size;
            break;
        case Shape::gaps:
            outer = n * size + 3;
            break;
        case Shape::columns:
            inner = rows * size;
            outer = size;
            break;
        case Shape::same_row:
            outer = 0;
            break;
        case Shape::row_scalar:
            inner = 0;
            outer = size;
            break;
    }
    ptrdiff_t low = 0, high = 0;
    if (n > 0 && rows > 0) {
        for (ptrdiff_t const reach : {(n - 1) * inner, (rows - 1) * outer})
            (reach < 0 ? low : high) += reach;
        high += size;
    }
    char* const first = at_end ? arena.end() - high - shift : arena.begin() - low + shift;
    return {first, first + low, first + high, inner, outer};
}

struct Layout {
    Shape shape[max_operands];  // inputs, then the output
    int output_shares;          // the output is this input; -1: memory of its own
    ptrdiff_t shift;            // bytes off the guard page
};

struct Slot {
    Isa isa;
    Op op;
    DType dtype;
    Kernel kernel;
    int inputs;
    bool to_boolean, reports;
};

template <class T>
void expected(const Slot& slot, bool scalar_bounds, const char* const* in, char* out) {
    if (slot.op == Op::where) {
        std::memcpy(out, *in[0] ? in[1] : in[2], sizeof(T));
    } else if constexpr (std::is_same_v<T, boolean>) {
        *out = boolean_reference(slot.op, *in[0] != 0, slot.inputs > 1 && *in[1] != 0);
    } else {
        T x[3] = {};
        for (int i = 0; i < slot.inputs; ++i) x[i] = from_bytes<T>(in[i]);
        Answer<T> const answer = reference<T>(slot.op, scalar_bounds, x[0], x[1], x[2]);
        if (slot.to_boolean)
            *out = answer.boolean;
        else
            std::memcpy(out, &answer.same, sizeof(T));
    }
}

// Which NaN arithmetic on two NaNs hands on is nobody's promise.
template <class T>
bool both_nan([[maybe_unused]] const char* p, [[maybe_unused]] const char* q) {
    if constexpr (floating<T>)
        return std::isnan(from_bytes<T>(p)) && std::isnan(from_bytes<T>(q));
    else
        return false;
}

template <class T>
void run_case(const Slot& slot, const Layout& layout, ptrdiff_t n, ptrdiff_t rows, bool at_end) {
    Block b = {};
    b.n = n;
    b.rows = rows;
    Placed at[max_operands];
    int const out = slot.inputs;
    ptrdiff_t size[max_operands];
    for (int i = 0; i <= out; ++i) {
        size[i] = (slot.op == Op::where && i == 0) || (slot.to_boolean && i == out)
                      ? 1
                      : static_cast<ptrdiff_t>(sizeof(T));
        if (i == out && layout.output_shares >= 0) {
            if (size[layout.output_shares] != size[i]) return;
            at[i] = at[layout.output_shares];
        } else {
            at[i] = place(arenas[i], layout.shape[i], size[i], n, rows, at_end, layout.shift);
            for (char* p = at[i].low; p < at[i].high; ++p) *p = static_cast<char>(0xa5);
            if (i < out && n > 0)
                for (ptrdiff_t r = 0; r < rows; ++r)
                    for (ptrdiff_t c = 0; c < n; ++c) {
                        char* const p = at[i].first + r * at[i].outer + c * at[i].inner;
                        if (slot.op == Op::where && i == 0) {
                            *p = static_cast<char>(sample<boolean>());
                        } else {
                            T const x = sample<T>();
                            std::memcpy(p, &x, sizeof x);
                        }
                    }
        }
        b.data[i] = at[i].first;
        b.inner[i] = at[i].inner;
        b.outer[i] = at[i].outer;
    }

    // What the output's memory must hold afterwards, gaps included.
    static std::vector<char> wanted;
    wanted.assign(at[out].low, at[out].high);
    bool const scalar_bounds = slot.inputs == 3 && b.inner[1] == 0 && b.inner[2] == 0;
    for (ptrdiff_t r = 0; r < rows; ++r)
        for (ptrdiff_t c = 0; c < n; ++c) {
            const char* in[max_operands];
            for (int i = 0; i < out; ++i) in[i] = at[i].first + r * at[i].outer + c * at[i].inner;
            expected<T>(slot, scalar_bounds, in,
                        wanted.data() + (at[out].first - at[out].low) + r * at[out].outer +
                            c * at[out].inner);
        }
    slot.kernel(b);

    bool ok = std::equal(wanted.begin(), wanted.end(), at[out].low);
    if (!ok && slot.reports && !slot.to_boolean) {
        ok = true;
        for (ptrdiff_t r = 0; r < rows; ++r)
            for (ptrdiff_t c = 0; c < n; ++c) {
                const char* const got = at[out].first + r * at[out].outer + c * at[out].inner;
                const char* const want = wanted.data() + (got - at[out].low);
                ok = ok && (std::memcmp(got, want, sizeof(T)) == 0 || both_nan<T>(got, want));
            }
    }
    if (checks.fails(ok)) {
        std::printf("%s %s %s: wrong result, n=%td rows=%td shapes", isa_name(slot.isa),
                    op_info[static_cast<size_t>(slot.op)].name,
                    dtype_info[static_cast<size_t>(slot.dtype)].name, n, rows);
        for (int i = 0; i <= out; ++i) std::printf(" %d", static_cast<int>(layout.shape[i]));
        std::printf(" shares %d shift %td\n", layout.output_shares, layout.shift);
    }
}

Layout all(Shape shape, int shares = -1, ptrdiff_t shift = 0) {
    return {{shape, shape, shape, shape}, shares, shift};
}

template <class T>
void test_slot(const Slot& slot) {
    int const out = slot.inputs;
    auto const lanes = static_cast<ptrdiff_t>(64 / sizeof(T));
    ptrdiff_t const few[] = {0, 1, 2, 3, 7, lanes - 1, lanes, lanes + 1, 4 * lanes + 1};

    // Guard pages on both sides, every length.
    for (ptrdiff_t n = 0; n <= 4 * lanes + 1; ++n) {
        run_case<T>(slot, all(Shape::run), n, 1, true);
        run_case<T>(slot, all(Shape::run), n, 1, false);
        for (int scalars = 1; scalars < 1 << out; ++scalars) {
            if (n % 3 && scalars > 2 && scalars != 6) continue;
            Layout layout = all(Shape::run);
            for (int i = 0; i < out; ++i)
                if (scalars >> i & 1) layout.shape[i] = Shape::one;
            run_case<T>(slot, layout, n, 1, n & 1);
        }
    }
    for (ptrdiff_t const n : few)
        for (bool const at_end : {true, false}) {
            for (ptrdiff_t const shift : {1, 2, 3, 5})
                run_case<T>(slot, all(Shape::run, -1, shift), n, 1, at_end);
            for (Shape const shape : {Shape::skip, Shape::back, Shape::mirrored}) {
                run_case<T>(slot, all(shape), n, 1, at_end);
                run_case<T>(slot, all(shape, 0), n, 2, at_end);
                Layout mixed = all(Shape::run);
                mixed.shape[0] = shape;
                run_case<T>(slot, mixed, n, 1, at_end);
                mixed.shape[out] = shape;
                mixed.shape[0] = Shape::one;
                run_case<T>(slot, mixed, n, 3, at_end);
            }
            for (int shares = 0; shares < out; ++shares) {
                run_case<T>(slot, all(Shape::run, shares), n, 1, at_end);
                run_case<T>(slot, all(Shape::gaps, shares), n, 3, at_end);
                Layout scalar = all(Shape::run, shares);
                scalar.shape[(shares + 1) % out] = out > 1 ? Shape::one : Shape::run;
                run_case<T>(slot, scalar, n, 1, at_end);
            }
            for (ptrdiff_t const rows : {2, 5, 70}) {
                run_case<T>(slot, all(Shape::run), n, rows, at_end);
                run_case<T>(slot, all(Shape::gaps), n, rows, at_end);
                run_case<T>(slot, all(Shape::columns), n, rows, at_end);
                for (Shape const shape :
                     {Shape::columns, Shape::same_row, Shape::row_scalar, Shape::one})
                    for (int i = 0; i < out; ++i) {
                        Layout layout = all(Shape::run);
                        layout.shape[i] = shape;
                        run_case<T>(slot, layout, n, rows, at_end);
                        layout.shape[out] = Shape::gaps;
                        run_case<T>(slot, layout, n, rows, at_end);
                    }
                Layout layout = all(Shape::run);
                layout.shape[out] = Shape::columns;
                run_case<T>(slot, layout, n, rows, at_end);
                run_case<T>(slot, all(Shape::columns, 0), n, rows, at_end);
            }
        }
    // More than one piece of the packing buffers.
    for (Shape const shape :
         {Shape::skip, Shape::columns, Shape::same_row, Shape::row_scalar, Shape::gaps}) {
        Layout layout = all(Shape::run);
        layout.shape[0] = shape;
        run_case<T>(slot, layout, 3, 3001, true);
        run_case<T>(slot, layout, 311, 41, true);
        run_case<T>(slot, layout, 9001, 2, true);
    }
}

template <class F>
void with_value_of_type(DType t, F f) {
    switch (t) {
#define DTYPE(id, type, kind, text) \
    case DType::id:                 \
        return f(type{});
#include "tables/dtypes.def"
        default:
            std::abort();
    }
}

void test_elementwise(Isa isa, const Table& table) {
    for (int o = 0; o < n_ops; ++o)
        for (int t = 0; t < n_dtypes; ++t) {
            OpInfo const& info = op_info[o];
            Kernel const kernel = kernel_of(table, static_cast<Op>(o), static_cast<DType>(t));
            CHECK(bool(kernel) == ((info.types >> t & 1U) != 0));
            if (!kernel) continue;
            Slot const slot = {isa,
                               static_cast<Op>(o),
                               static_cast<DType>(t),
                               kernel,
                               info.inputs,
                               kernel.dtypes[kernel.inputs] == DType::boolean,
                               info.reporting != 0};
            with_value_of_type(slot.dtype, [&]<class T>(T) {
                Slot s = slot;
                if (std::is_same_v<T, boolean> && s.op == Op::where) s.to_boolean = false;
                test_slot<T>(s);
            });
        }
}

// Casts

// Values that both types can hold: beyond them C promises nothing.
template <class From, class To>
From castable() {
    for (;;) {
        From const x = sample<From>();
        if constexpr (floating<From> && !floating<To> && !std::is_same_v<To, boolean>) {
            From const whole = std::trunc(x);
            if (!(whole >= static_cast<From>(std::numeric_limits<To>::min()))) continue;
            if (!(whole < std::ldexp(From(1), std::numeric_limits<To>::digits))) continue;
        }
        return x;
    }
}

template <class From, class To>
void cast_one(const char* from, char* to) {
    From const x = from_bytes<From>(from);
    if constexpr (std::is_same_v<From, To>) {
        std::memcpy(to, from, sizeof(From));
    } else if constexpr (std::is_same_v<To, boolean>) {
        *to = x != From(0);
    } else {
        To y;
        if constexpr (std::is_same_v<From, boolean>)
            y = static_cast<To>(x != 0 ? 1 : 0);
        else
            y = static_cast<To>(x);
        std::memcpy(to, &y, sizeof y);
    }
}

template <class From, class To>
void run_cast(const Kernel& kernel, const char* what, Shape in, Shape out, ptrdiff_t n,
              ptrdiff_t rows, bool at_end, ptrdiff_t shift) {
    Placed const a = place(arenas[0], in, sizeof(From), n, rows, at_end, shift);
    Placed const b = place(arenas[1], out, sizeof(To), n, rows, at_end, shift);
    std::memset(a.low, 0xa5, static_cast<size_t>(a.high - a.low));
    std::memset(b.low, 0xa5, static_cast<size_t>(b.high - b.low));
    static std::vector<char> wanted;
    wanted.assign(b.low, b.high);
    for (ptrdiff_t r = 0; r < rows; ++r)
        for (ptrdiff_t c = 0; c < n; ++c) {
            From const x = castable<From, To>();
            std::memcpy(a.first + r * a.outer + c * a.inner, &x, sizeof x);
        }
    for (ptrdiff_t r = 0; r < rows; ++r)
        for (ptrdiff_t c = 0; c < n; ++c)
            cast_one<From, To>(a.first + r * a.outer + c * a.inner,
                               wanted.data() + (b.first - b.low) + r * b.outer + c * b.inner);
    Block block = {};
    block.data[0] = a.first;
    block.data[1] = b.first;
    block.inner[0] = a.inner;
    block.inner[1] = b.inner;
    block.outer[0] = a.outer;
    block.outer[1] = b.outer;
    block.n = n;
    block.rows = rows;
    clear_fp_status();
    kernel(block);
    bool const quiet = !(fp_status() & fp_invalid);
    bool const ok = std::equal(wanted.begin(), wanted.end(), b.low);
    if (checks.fails(ok && quiet))
        std::printf("%s: n=%td rows=%td shapes %d %d: %s\n", what, n, rows, static_cast<int>(in),
                    static_cast<int>(out), ok ? "flags" : "wrong result");
}

template <class From, class To>
void test_cast(Isa isa, const Kernel& kernel, DType from, DType to) {
    CHECK(bool(kernel));
    if (!kernel) return;
    char what[80];
    std::snprintf(what, sizeof what, "%s cast %s to %s", isa_name(isa),
                  dtype_info[static_cast<size_t>(from)].name,
                  dtype_info[static_cast<size_t>(to)].name);
    auto const lanes =
        static_cast<ptrdiff_t>(64 / (sizeof(From) < sizeof(To) ? sizeof(From) : sizeof(To)));
    for (ptrdiff_t n = 0; n <= 4 * lanes + 1; ++n) {
        run_cast<From, To>(kernel, what, Shape::run, Shape::run, n, 1, n & 1, 0);
        run_cast<From, To>(kernel, what, Shape::one, Shape::run, n, 1, !(n & 1), n % 4);
    }
    constexpr Shape inputs[] = {Shape::run,     Shape::one,      Shape::skip,
                                Shape::back,    Shape::mirrored, Shape::gaps,
                                Shape::columns, Shape::same_row, Shape::row_scalar};
    constexpr Shape outputs[] = {Shape::run,      Shape::skip, Shape::back,
                                 Shape::mirrored, Shape::gaps, Shape::columns};
    for (Shape const in : inputs)
        for (Shape const out : outputs)
            for (ptrdiff_t const n : {1, 3, 17, 70})
                for (ptrdiff_t const rows : {1, 2, 37})
                    run_cast<From, To>(kernel, what, in, out, n, rows, (n + rows) & 2, rows == 2);
    run_cast<From, To>(kernel, what, Shape::columns, Shape::run, 300, 200, true, 0);
    run_cast<From, To>(kernel, what, Shape::skip, Shape::run, 9001, 2, true, 0);

    if constexpr (floating<From> && !floating<To> && !std::is_same_v<To, boolean>) {
        From const infinity = std::numeric_limits<From>::infinity();
        for (From const bad :
             {std::numeric_limits<From>::quiet_NaN(), infinity, -infinity, From(1e30), From(-1e30)})
            for (int const n : {1, 7, 64, 129}) {
                std::vector<From> x(static_cast<size_t>(n), From(1));
                std::vector<To> y(x.size());
                x[x.size() / 2] = bad;
                Block const block = {
                    {reinterpret_cast<char*>(x.data()), reinterpret_cast<char*>(y.data())},
                    {sizeof(From), sizeof(To)},
                    {},
                    n,
                    1};
                clear_fp_status();
                kernel(block);
                CHECK(fp_status() & fp_invalid);
            }
    }
}

void test_casts(Isa isa, const Table& table) {
    for (int f = 0; f < n_dtypes; ++f)
        for (int t = 0; t < n_dtypes; ++t)
            with_value_of_type(static_cast<DType>(f), [&]<class From>(From) {
                with_value_of_type(static_cast<DType>(t), [&]<class To>(To) {
                    test_cast<From, To>(isa, {table.cast[f][t]}, static_cast<DType>(f),
                                        static_cast<DType>(t));
                });
            });
}

// Floating-point status: exactly what the elements warrant, whatever lies beyond them.
template <class T>
int status_of(const Kernel& kernel, int inputs, T x, T y, T filler, ptrdiff_t n) {
    Block b = {};
    b.n = n;
    b.rows = 1;
    for (int i = 0; i <= inputs; ++i) {
        auto const p = reinterpret_cast<T*>(arenas[i].begin());
        for (ptrdiff_t k = 0; k < n + 256; ++k)
            p[k] = k < n ? filler : T(0);  // 0 / 0 beyond the end
        if (i < inputs && n > 0) p[n - 1] = i ? y : x;
        b.data[i] = arenas[i].begin();
        b.inner[i] = sizeof(T);
    }
    clear_fp_status();
    kernel(b);
    return fp_status();
}

template <class T>
void test_status(const Table& table, DType t) {
    using L = std::numeric_limits<T>;
    auto const kernel = [&](Op op) { return kernel_of(table, op, t); };
    auto const lanes = static_cast<ptrdiff_t>(64 / sizeof(T));
    for (ptrdiff_t n = 1; n <= 4 * lanes + 1; ++n) {
        T const one(1);
        if constexpr (floating<T>) {
            T const inf = L::infinity(), nan = L::quiet_NaN();
            CHECK(status_of(kernel(Op::divide), 2, one, one, one, n) == 0);
            CHECK(status_of(kernel(Op::divide), 2, nan, one, one, n) == 0);
            CHECK(status_of(kernel(Op::divide), 2, one, T(0), one, n) == fp_divide_by_zero);
            CHECK(status_of(kernel(Op::divide), 2, T(0), T(0), one, n) == fp_invalid);
            CHECK(status_of(kernel(Op::subtract), 2, inf, inf, one, n) == fp_invalid);
            CHECK(status_of(kernel(Op::add), 2, L::max(), L::max(), one, n) == fp_overflow);
            CHECK(status_of(kernel(Op::multiply), 2, L::min(), T(0.3), one, n) == fp_underflow);
            CHECK(status_of(kernel(Op::sqrt), 1, T(-1), one, one, n) == fp_invalid);
            CHECK(status_of(kernel(Op::sqrt), 1, nan, one, one, n) == 0);
            CHECK(status_of(kernel(Op::reciprocal), 1, T(0), one, one, n) == fp_divide_by_zero);
            CHECK(status_of(kernel(Op::negative), 1, nan, one, one, n) == 0);
            CHECK(status_of(kernel(Op::square), 1, nan, one, one, n) == 0);
        } else {
            CHECK(status_of(kernel(Op::reciprocal), 1, one, one, T(2), n) == 0);
            CHECK(status_of(kernel(Op::reciprocal), 1, T(0), one, T(2), n) ==
                  (fp_divide_by_zero | fp_invalid));
            CHECK(status_of(kernel(Op::multiply), 2, L::max(), L::max(), one, n) == 0);
        }
    }
}

void test_statuses(const Table& table) {
    for (int t = 1; t < n_dtypes; ++t)
        with_value_of_type(static_cast<DType>(t), [&]<class T>(T) {
            if constexpr (!std::is_same_v<T, boolean>) test_status<T>(table, static_cast<DType>(t));
        });
}

// Do the guard pages see a kernel that reads one element too many?
void test_guards() {
    for (bool const at_end : {true, false}) {
        std::fflush(stdout);
        pid_t const child = fork();
        if (child == 0) {
            signal(SIGSEGV, SIG_DFL);
            signal(SIGBUS, SIG_DFL);
            Placed const at = place(arenas[0], Shape::run, 4, 100, 1, at_end, 0);
            float volatile sum = 0;
            for (int i = at_end ? 0 : -1; i < (at_end ? 101 : 100); ++i)
                sum = sum + from_bytes<float>(at.first + 4 * i);
            _exit(0);
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(!(WIFEXITED(status) && WEXITSTATUS(status) == 0));
    }
}

void test_dispatch() {
    Isa isa;
    for (int i = 0; i < n_isas; ++i) {
        CHECK(parse_isa(isa_name(static_cast<Isa>(i)), &isa) && isa == static_cast<Isa>(i));
        if (!isa_compiled(static_cast<Isa>(i))) CHECK(table(static_cast<Isa>(i)) == nullptr);
    }
    CHECK(!parse_isa("auto", &isa));
    CHECK(!parse_isa("", &isa));
    CHECK(isa_compiled(Isa::scalar));
    CHECK(!isa_compiled(Isa::count));
    CHECK(table(Isa::scalar) != nullptr);
    CHECK(table(Isa::count) == nullptr);
    CHECK(table(best_isa()) != nullptr);
    CHECK(table(best_isa()) == table(best_isa()));
}

}  // namespace

int main() {
    test_dispatch();
    test_guards();
    for (int i = 0; i < n_isas; ++i) {
        auto const isa = static_cast<Isa>(i);
        const Table* const t = table(isa);
        if (!t) {
            std::printf("%s: %s\n", isa_name(isa),
                        isa_compiled(isa) ? "not supported here" : "not compiled");
            continue;
        }
        long const before = checks.passed + checks.failed, failed = checks.failed;
        test_elementwise(isa, *t);
        test_casts(isa, *t);
        test_statuses(*t);
        std::printf("%s: %ld checks, %ld failed\n", isa_name(isa),
                    checks.passed + checks.failed - before, checks.failed - failed);
    }
    return checks.report("test_elementwise");
}
