// Every row of math.def on every ISA against the C++ library's function of that name: error,
// floating-point status, and the same bits whatever the layout.
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

// What is exact enough for a float is double: long double takes an emulated processor long.
template <class T>
using Reference = std::conditional_t<std::is_same_v<T, float>, double, long double>;
template <class T>
using Bits = std::conditional_t<std::is_same_v<T, float>, uint32_t, uint64_t>;
template <class T>
using Limits = std::numeric_limits<T>;

template <class T>
T from_bits(Bits<T> bits) {
    T x;
    std::memcpy(&x, &bits, sizeof x);
    return x;
}
template <class T>
Bits<T> to_bits(T x) {
    Bits<T> bits;
    std::memcpy(&bits, &x, sizeof bits);
    return bits;
}

// Finite numbers in their order as integers, and back.
template <class T>
constexpr Bits<T> sign_bit = Bits<T>{1} << (8 * sizeof(T) - 1);
template <class T>
Bits<T> rank(T x) {
    Bits<T> const bits = to_bits(x);
    return bits & sign_bit<T> ? ~bits : bits | sign_bit<T>;
}
template <class T>
T at_rank(Bits<T> r) {
    return from_bits<T>(r & sign_bit<T> ? r ^ sign_bit<T> : ~r);
}

uint64_t random_state = 88172645463325252U;
uint64_t random_bits() {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}
double random_unit() { return static_cast<double>(random_bits() >> 11) * 0x1p-53; }

#define MATH1(name, types, ulp32, ulp64, low, high, filler, formula, doc) \
    struct name##_row {                                                   \
        static constexpr Op op = Op::name;                                \
        static constexpr double quiet = filler;                           \
        template <class T>                                                \
        static T exactly(T x) {                                           \
            return std::name(x);                                          \
        }                                                                 \
    };
#include "tables/ops.def"

// Rows, dtypes and ISAs, and which tests they had.
enum Kind : unsigned { error = 1, sweep = 2, status = 4, layouts = 8 };
unsigned visited[n_ops][n_dtypes][n_isas];

template <class T>
struct Subject {
    Kernel kernel;
    Op op;
    Isa isa;
    double bound;
    double worst = 0;

    const char* name() const { return op_info[static_cast<size_t>(op)].name; }
    void run(const T* x, T* y, size_t n) const {
        Block const block = {
            {const_cast<char*>(reinterpret_cast<const char*>(x)), reinterpret_cast<char*>(y)},
            {sizeof(T), sizeof(T)},
            {},
            static_cast<ptrdiff_t>(n),
            1};
        kernel(block);
    }
    void had(Kind kind) const {
        constexpr DType t = std::is_same_v<T, float> ? DType::float32 : DType::float64;
        visited[static_cast<size_t>(op)][static_cast<size_t>(t)][static_cast<size_t>(isa)] |= kind;
    }
};

// ---- arguments

// Zero, subnormal, normal, infinite or NaN, with the sign.
template <class T, class R>
int class_of(R y) {
    T const rounded = static_cast<T>(y);
    return 8 * std::fpclassify(rounded) + (std::signbit(y) ? 1 : 0);
}

// Numbers next to those where the class of the result changes.
template <class Row, class T>
void add_thresholds(std::vector<T>& x) {
    auto const result = [](Bits<T> r) {
        return class_of<T>(Row::exactly(static_cast<Reference<T>>(at_rank<T>(r))));
    };
    std::vector<Bits<T>> ranks;
    for (T const v : x)
        if (std::isfinite(v)) ranks.push_back(rank(v));
    std::sort(ranks.begin(), ranks.end());
    for (size_t i = 1; i < ranks.size(); ++i) {
        Bits<T> below = ranks[i - 1], above = ranks[i];
        int const before = result(below);
        if (before == result(above)) continue;
        while (above - below > 1) {
            Bits<T> const middle = below + (above - below) / 2;
            (result(middle) == before ? below : above) = middle;
        }
        constexpr Bits<T> reach = 300;
        for (Bits<T> r = above - reach; r <= above + reach; ++r) x.push_back(at_rank<T>(r));
    }
}

template <class Row, class T>
std::vector<T> arguments() {
    Accuracy const& accuracy = op_info[static_cast<size_t>(Row::op)].accuracy;
    constexpr int dense = emulated ? 4'000 : 100'000;
    double const low = std::max(accuracy.low, static_cast<double>(Limits<T>::lowest()));
    double const high = std::min(accuracy.high, static_cast<double>(Limits<T>::max()));
    std::vector<T> x = {T(0),
                        T(-0.0),
                        Limits<T>::infinity(),
                        -Limits<T>::infinity(),
                        Limits<T>::quiet_NaN(),
                        -Limits<T>::quiet_NaN(),
                        Limits<T>::max(),
                        Limits<T>::lowest()};
    for (int i = 0; i <= dense; ++i) {
        x.push_back(static_cast<T>(low * (1 - i / double(dense)) + high * (i / double(dense))));
        x.push_back(static_cast<T>(2 * random_unit() - 1));
        x.push_back(static_cast<T>(200 * (2 * random_unit() - 1)));
    }
    // Every exponent, subnormals among them; the float's numbers are those of the sweep, too.
    constexpr int each = emulated ? 2 : 16;
    constexpr int mantissa = Limits<T>::digits - 1;
    for (Bits<T> e = 0;
         e < (Limits<T>::infinity() > 0 ? to_bits(Limits<T>::infinity()) >> mantissa : Bits<T>{0});
         ++e)
        for (int i = 0; i < each; ++i) {
            Bits<T> const m = static_cast<Bits<T>>(random_bits()) & ((Bits<T>{1} << mantissa) - 1);
            x.push_back(from_bits<T>((e << mantissa) | (i ? m : 0)));
            x.push_back(-x.back());
        }
    for (Bits<T> bits = 1; bits <= 64; ++bits) x.push_back(from_bits<T>(bits));
    // Integers, halves and their neighbours, where reductions change their mind.
    for (int half = -2300; half <= 2300; ++half)
        for (int step = -2; step <= 2; ++step)
            x.push_back(half == 0 ? T(0)
                                  : from_bits<T>(to_bits(static_cast<T>(half) / 2) +
                                                 static_cast<Bits<T>>(step)));
    add_thresholds<Row>(x);
    return x;
}

// ---- error

// In units in the last place of the result; beyond the largest number as if there were more.
template <class T>
double ulps(T got, Reference<T> exact) {
    using R = Reference<T>;
    if (std::isnan(exact) || std::isnan(got))
        return std::isnan(exact) && std::isnan(got) ? 0 : HUGE_VAL;
    if (exact == 0) return got == 0 && std::signbit(got) == std::signbit(exact) ? 0 : HUGE_VAL;
    static R const end = std::ldexp(R(1), Limits<T>::max_exponent);
    auto const finite = [](R y) { return std::abs(y) >= end ? std::copysign(end, y) : y; };
    R const wanted = finite(exact), given = finite(static_cast<R>(got));
    int const exponent =
        std::clamp(std::ilogb(wanted), Limits<T>::min_exponent - 1, Limits<T>::max_exponent - 1);
    return static_cast<double>(
        std::abs(std::ldexp(given - wanted, Limits<T>::digits - 1 - exponent)));
}

template <class T>
void check_errors(Subject<T>& s, const std::vector<T>& x, const std::vector<Reference<T>>& exact) {
    std::vector<T> y(x.size());
    s.run(x.data(), y.data(), x.size());
    bool whole = true;
    for (size_t i = 0; i < x.size(); ++i) {
        double const found = ulps(y[i], exact[i]);
        s.worst = std::max(s.worst, found);
        if (found <= s.bound) continue;
        whole = false;
        CHECK_MESSAGE(found <= s.bound, "%s %s(%a) = %a, %.3f ULP from %a", isa_name(s.isa),
                      s.name(), static_cast<double>(x[i]), static_cast<double>(y[i]), found,
                      static_cast<double>(exact[i]));
    }
    CHECK(whole);
}

template <class Row, class T>
std::vector<Reference<T>> exact_results(const std::vector<T>& x) {
    std::vector<Reference<T>> y;
    y.reserve(x.size());
    for (T const v : x) y.push_back(Row::exactly(static_cast<Reference<T>>(v)));
    return y;
}

// Floats at equal distances among all bit patterns, signalling NaNs left out.
template <class Row>
void test_sweep(std::vector<Subject<float>>& subjects) {
    const char* const text = std::getenv("RAPTORS_FLOAT_STEP");
    uint64_t const step =
        std::max(1L, text ? std::atol(text) : static_cast<long>(emulated ? 25'013 : 251));
    constexpr size_t piece = 1 << 16;
    std::vector<float> x;
    for (uint64_t bits = 0; bits <= 0xffffffff; bits += step) {
        auto const v = from_bits<float>(static_cast<uint32_t>(bits));
        if (!std::isnan(v) || (bits & 0x400000)) x.push_back(v);
        if (x.size() == piece || bits + step > 0xffffffff) {
            auto const exact = exact_results<Row>(x);
            for (auto& s : subjects) check_errors(s, x, exact);
            x.clear();
        }
    }
    for (auto const& s : subjects) s.had(sweep);
}

// ---- floating-point status

// The bits of the status that rounding decides: results next to the smallest normal number or to
// the largest one.
template <class T>
int undecided(Reference<T> exact) {
    using R = Reference<T>;
    R const size = std::abs(exact);
    auto const near = [size](R limit, R unit) { return std::abs(size - limit) <= 2 * unit; };
    if (near(Limits<T>::min(), Limits<T>::denorm_min())) return fp_underflow;
    R const end = std::ldexp(R(1), Limits<T>::max_exponent);
    return near(end, std::ldexp(R(1), Limits<T>::max_exponent - Limits<T>::digits)) ? fp_overflow
                                                                                    : 0;
}

template <class Row, class T>
int status_of_library(T x) {
    T const volatile in = x;
    clear_any_fp_status();
    T const volatile out = Row::exactly(static_cast<T>(in));
    (void)out;
    return any_fp_status();
}

template <class Row, class T>
void test_status(const Subject<T>& s, const std::vector<T>& x,
                 const std::vector<Reference<T>>& exact) {
    T y[130];
    for (size_t i = 0; i < x.size(); ++i) {
        int wanted = status_of_library<Row>(x[i]);
        // An exact result is no underflow. (glibc's exp2 reports one.)
        if (static_cast<Reference<T>>(static_cast<T>(exact[i])) == exact[i] && exact[i] != 0)
            wanted &= ~fp_underflow;
        clear_fp_status();
        s.run(&x[i], y, 1);
        int const differ = (fp_status() ^ wanted) & ~undecided<T>(exact[i]);
        if (differ)
            CHECK_MESSAGE(!differ, "%s %s(%a): status %d, the library's %d", isa_name(s.isa),
                          s.name(), static_cast<double>(x[i]), differ ^ wanted, wanted);
    }
    // At any place of a run, among elements that raise nothing and before others that must not be
    // looked at.
    T const quiet = static_cast<T>(Row::quiet);
    CHECK(status_of_library<Row>(quiet) == 0);
    T const tiny = Limits<T>::denorm_min(), inf = Limits<T>::infinity();
    T in[260];
    for (T const v : {T(0), T(-0.0), T(0.3), tiny, -tiny, Limits<T>::min(), Limits<T>::max(),
                      Limits<T>::lowest(), inf, -inf, Limits<T>::quiet_NaN()})
        for (size_t n = 1; n <= 130; ++n)
            for (size_t const at : {size_t{0}, n / 2, n - 1}) {
                std::fill(in, in + n, quiet);
                std::fill(in + n, in + 260, Limits<T>::max());
                std::fill(in + n, in + n + 20, Limits<T>::lowest());
                in[at] = v;
                clear_fp_status();
                s.run(in, y, n);
                CHECK(fp_status() == status_of_library<Row>(v));
            }
    s.had(status);
}

// ---- layouts

// The same bits from each layout as from runs of one element; nothing else is written.
template <class T>
void test_layouts(const Subject<T>& s, const std::vector<T>& pool) {
    constexpr ptrdiff_t longest = 130, gap = 3;
    std::vector<T> in(longest * gap), out(longest * gap), wanted(longest);
    T const untouched = T(123.25);
    for (ptrdiff_t n = 0; n <= longest; ++n)
        for (ptrdiff_t const in_step : {ptrdiff_t{1}, gap, -gap})
            for (ptrdiff_t const out_step : {ptrdiff_t{0}, ptrdiff_t{1}, gap}) {
                bool const in_place = out_step == 0;
                std::fill(in.begin(), in.end(), untouched);
                std::fill(out.begin(), out.end(), untouched);
                T* const first = in_step < 0 ? in.data() + longest * gap - 1 : in.data();
                for (ptrdiff_t i = 0; i < n; ++i) {
                    first[i * in_step] = pool[random_bits() % pool.size()];
                    s.run(first + i * in_step, &wanted[static_cast<size_t>(i)], 1);
                }
                T* const to = in_place ? first : out.data();
                ptrdiff_t const step = in_place ? in_step : out_step;
                constexpr auto size = static_cast<ptrdiff_t>(sizeof(T));
                s.kernel({{reinterpret_cast<char*>(first), reinterpret_cast<char*>(to)},
                          {in_step * size, step * size},
                          {},
                          n,
                          1});
                bool same = true;
                for (ptrdiff_t i = 0; i < n; ++i)
                    same = same && to_bits(to[i * step]) == to_bits(wanted[static_cast<size_t>(i)]);
                auto const rest = std::count(in_place ? in.begin() : out.begin(),
                                             in_place ? in.end() : out.end(), untouched);
                CHECK_MESSAGE(same && rest >= longest * gap - n, "%s %s: n=%td steps %td %td",
                              isa_name(s.isa), s.name(), n, in_step, step);
            }
    s.had(layouts);
}

// ---- rows

template <class Row, class T>
void test_dtype(DType t) {
    OpInfo const& info = op_info[static_cast<size_t>(Row::op)];
    if (!(info.types >> static_cast<int>(t) & 1U)) return;
    std::vector<Subject<T>> subjects;
    for (int i = 0; i < n_isas; ++i)
        if (const Table* const found = table(static_cast<Isa>(i)))
            subjects.push_back(
                {kernel_of(*found, Row::op, t), Row::op, static_cast<Isa>(i),
                 std::is_same_v<T, float> ? info.accuracy.ulp32 : info.accuracy.ulp64});
    std::vector<T> const x = arguments<Row, T>();
    auto const exact = exact_results<Row>(x);
    if constexpr (std::is_same_v<T, float>) test_sweep<Row>(subjects);
    for (auto& s : subjects) {
        check_errors(s, x, exact);
        s.had(error);
        test_status<Row>(s, x, exact);
        test_layouts(s, x);
        std::printf("%s %s %s: %.4f ULP\n", s.name(), dtype_info[static_cast<size_t>(t)].name,
                    isa_name(s.isa), s.worst);
    }
}

// No row of the table without all of its tests.
void test_complete() {
    int rows = 0;
    for (int o = 0; o < n_ops; ++o) {
        if (op_info[o].accuracy.exact()) continue;
        ++rows;
        for (int t = 0; t < n_dtypes; ++t)
            for (int i = 0; i < n_isas; ++i) {
                // Half precision is computed by the kernels of float32.
                if (computed(static_cast<DType>(t)) != static_cast<DType>(t)) continue;
                bool const there =
                    (op_info[o].types >> t & 1U) && table(static_cast<Isa>(i)) != nullptr;
                unsigned const all = error | status | layouts |
                                     (static_cast<DType>(t) == DType::float32 ? sweep : 0U);
                CHECK_MESSAGE(visited[o][t][i] == (there ? all : 0U), "%s %s %s was not tested",
                              op_info[o].name, dtype_info[t].name, isa_name(static_cast<Isa>(i)));
            }
    }
    CHECK(rows > 0);
}

}  // namespace

int main() {
#define MATH1(name, ...)                           \
    test_dtype<name##_row, float>(DType::float32); \
    test_dtype<name##_row, double>(DType::float64);
#include "tables/ops.def"
    test_complete();
    return checks.report("test_vec_math");
}
