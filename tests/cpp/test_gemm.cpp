// Matrix products against a plain triple loop: every shape, layout and batch, on every ISA.
#include <cfenv>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "api/table.h"
#include "check.h"
#include "dispatch.h"
#include "elementary.h"
#include "frame/memory/faults.h"
#include "frame/run/gemm.h"
#include "frame/threads/processors.h"
#include "walled.h"

using namespace raptors;

namespace {

std::mt19937_64 generator(1);
ptrdiff_t below(ptrdiff_t n) {
    return static_cast<ptrdiff_t>(generator() % static_cast<uint64_t>(n));
}

constexpr int most_batch = 3;

// A batch of matrices somewhere in walled memory.
struct Operand {
    char* data;
    char* begin;
    ptrdiff_t bytes;
    ptrdiff_t row, column;
    ptrdiff_t batch[most_batch];
};

enum class Values : uint8_t { plain, special };

template <class T>
void fill(char* begin, ptrdiff_t bytes, Values values) {
    for (ptrdiff_t i = 0; i + ptrdiff_t{sizeof(T)} <= bytes; i += ptrdiff_t{sizeof(T)}) {
        T x;
        if constexpr (std::is_floating_point_v<T>) {
            x = static_cast<T>(static_cast<double>(generator() >> 11) * 0x1p-52 - 1);
            if (values == Values::special && below(12) == 0) {
                T const some[] = {static_cast<T>(NAN), static_cast<T>(INFINITY),
                                  static_cast<T>(-INFINITY), T(0), T(-0.0)};
                x = some[below(5)];
            }
        } else if constexpr (std::is_same_v<T, boolean>) {
            x = static_cast<T>(below(3) ? 0 : generator() & 0xFF);
        } else {
            x = static_cast<T>(generator());
        }
        memcpy(begin + i, &x, sizeof x);
    }
}

// Which layouts operands may have: contiguous ones are what most calls have.
Operand place(const Walled& memory, ptrdiff_t size, ptrdiff_t rows, ptrdiff_t columns,
              const std::vector<ptrdiff_t>& batch, bool may_repeat) {
    Operand x{};
    ptrdiff_t const kind = below(6);
    bool const by_columns = kind == 1 || kind == 3;
    ptrdiff_t step = size * (kind == 2 || kind == 3 ? 1 + below(3) : 1);
    (by_columns ? x.row : x.column) = step;
    ptrdiff_t const inner = by_columns ? rows : columns, outer = by_columns ? columns : rows;
    step *= inner > 0 ? inner : 1;
    constexpr ptrdiff_t most_with_gaps = 100'000;  // the memory is no larger
    if (kind >= 4 && outer < most_with_gaps) step += size * below(20);
    (by_columns ? x.column : x.row) = step;
    step *= outer > 0 ? outer : 1;
    for (size_t i = batch.size(); i-- > 0;) {
        bool const repeats = may_repeat && below(3) == 0;
        x.batch[i] = repeats ? 0 : step;
        if (!repeats) step *= batch[i] > 0 ? batch[i] : 1;
    }
    ptrdiff_t offset = 0, extent = 0;
    auto turn = [&](ptrdiff_t& stride, ptrdiff_t length) {
        if (length < 1) return;
        extent += (length - 1) * stride;
        if (kind == 5 && below(2)) {
            offset += (length - 1) * stride;
            stride = -stride;
        }
    };
    turn(x.row, rows);
    turn(x.column, columns);
    for (size_t i = 0; i < batch.size(); ++i) turn(x.batch[i], batch[i]);
    x.bytes = extent + size;
    x.begin = memory.place(x.bytes, below(3) > 0);
    if (below(4) == 0 && x.bytes % size == 0) {  // unaligned, if it is at the end
        x.begin = memory.place(x.bytes + 1, true);
    }
    x.data = x.begin + offset;
    return x;
}

// Where the z-th matrix of a batch begins.
ptrdiff_t offset(const Operand& x, const std::vector<ptrdiff_t>& batch, ptrdiff_t z) {
    ptrdiff_t at = 0;
    for (size_t i = batch.size(); i-- > 0; z /= batch[i]) at += z % batch[i] * x.batch[i];
    return at;
}

template <class T>
struct Wide {
    using type = uint64_t;
};
template <>
struct Wide<float> {
    using type = double;
};
template <>
struct Wide<double> {
    using type = long double;
};

template <class T>
T at(const char* p) {
    T x;
    memcpy(&x, p, sizeof x);
    return x;
}

struct Trial {
    std::vector<ptrdiff_t> batch;
    ptrdiff_t m, n, k;
    bool own = false;  // B is A's transpose
};

const Walled memory_a, memory_b, memory_c;

template <class T>
bool is_nan(T x) {
    if constexpr (std::is_floating_point_v<T>)
        return std::isnan(x);
    else
        return false;
}

// One element as the triple loop has it, compared.
template <class T>
bool agrees(const char* a, ptrdiff_t a_step, const char* b, ptrdiff_t b_step, ptrdiff_t k, T got) {
    typename Wide<T>::type sum = 0, size = 0;
    for (ptrdiff_t p = 0; p < k; ++p) {
        if constexpr (std::is_same_v<T, boolean>) {
            sum |= at<uint8_t>(a + p * a_step) && at<uint8_t>(b + p * b_step);
        } else if constexpr (std::is_floating_point_v<T>) {
            auto const product =
                typename Wide<T>::type{at<T>(a + p * a_step)} * at<T>(b + p * b_step);
            sum += product;
            size += std::fabs(product);
        } else {
            sum += static_cast<uint64_t>(at<T>(a + p * a_step)) *
                   static_cast<uint64_t>(at<T>(b + p * b_step));
        }
    }
    if constexpr (std::is_floating_point_v<T>) {
        if (std::isnan(sum)) return std::isnan(got);
        if (std::isinf(sum)) return sum == typename Wide<T>::type{got};
        constexpr auto eps = typename Wide<T>::type{std::numeric_limits<T>::epsilon()};
        return std::fabs(got - sum) <= static_cast<double>(k + 1) * eps / 2 * size;
    } else {
        return got == static_cast<T>(sum);
    }
}

template <class T>
void check(const Table& table, DType t, const Trial& trial, Values values) {
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(T));
    ptrdiff_t const m = trial.m, n = trial.n, k = trial.k;
    Operand const a = place(memory_a, size, m, k, trial.batch, true);
    Operand b = trial.own ? a : place(memory_b, size, k, n, trial.batch, true);
    if (trial.own) std::swap(b.row, b.column);
    Operand const c = place(memory_c, size, m, n, trial.batch, false);
    fill<T>(a.begin, a.bytes, values);
    if (!trial.own) fill<T>(b.begin, b.bytes, values);
    memset(c.begin, 0xA5, static_cast<size_t>(c.bytes));
    ptrdiff_t count = 1;
    for (ptrdiff_t const length : trial.batch) count *= length;

    Product product = {
        {m, n, k, a.data, a.row, a.column, b.data, b.row, b.column, c.data, c.row, c.column},
        static_cast<int>(trial.batch.size()),
        trial.batch.data(),
        a.batch,
        b.batch,
        c.batch};
    std::feclearexcept(FE_ALL_EXCEPT);
    CHECK(multiply(table, t, product, unsplit));
    int const raised = std::fetestexcept(FE_INVALID | FE_OVERFLOW | FE_DIVBYZERO);

    // Elements, and that nothing else was written.
    std::vector<char> expected(static_cast<size_t>(c.bytes), static_cast<char>(0xA5));
    bool right = true, has_nan = false;
    T const nan = static_cast<T>(std::is_floating_point_v<T> ? NAN : 0);
    auto canonical = [nan](char* p) {  // which of two NaNs a sum passes on is open
        if (is_nan(at<T>(p))) memcpy(p, &nan, sizeof nan);
        return is_nan(at<T>(p));
    };
    std::vector<ptrdiff_t> places;
    std::feclearexcept(FE_ALL_EXCEPT);
    for (ptrdiff_t z = 0; z < count; ++z) {
        ptrdiff_t const at_a = offset(a, trial.batch, z), at_b = offset(b, trial.batch, z),
                        at_c = offset(c, trial.batch, z);
        for (ptrdiff_t i = 0; i < m; ++i) {
            for (ptrdiff_t j = 0; j < n; ++j) {
                char* const got = c.data + at_c + i * c.row + j * c.column;
                right &= agrees<T>(a.data + at_a + i * a.row, a.column,
                                   b.data + at_b + j * b.column, b.row, k, at<T>(got));
                has_nan |= canonical(got);
                places.push_back(got - c.begin);
                memcpy(expected.data() + (got - c.begin), got, sizeof(T));
            }
        }
    }
    // A sum that ends in NaN is invalid in some orders only.
    int const may_raise =
        std::fetestexcept(FE_INVALID | FE_OVERFLOW | FE_DIVBYZERO) | (has_nan ? FE_INVALID : 0);
    auto describe = [&](const char* what) {
        std::printf("%s %s: (%td, %td, %td), %zu batch axes, a %td %td, b %td %td, c %td %td: ",
                    dtype_info[static_cast<int>(t)].name, what, m, n, k, trial.batch.size(), a.row,
                    a.column, b.row, b.column, c.row, c.column);
        return "wrong";
    };
    CHECK_MESSAGE(right, "%s", describe("elements"));
    CHECK_MESSAGE((raised & ~may_raise) == 0, "%s", describe("status"));
    bool const clean = memcmp(expected.data(), c.begin, static_cast<size_t>(c.bytes)) == 0;
    CHECK_MESSAGE(clean, "%s", describe("bytes between elements"));

    // The same bits by several threads.
    if (count * m * n * k < 2000 && below(8)) return;
    for (int const threads : {2, 4}) {
        memset(c.begin, 0xA5, static_cast<size_t>(c.bytes));
        WorkSplit const split = {{threads, true}, 1 + below(below(2) ? 500 : 100'000)};
        CHECK(multiply(table, t, product, split));
        for (ptrdiff_t const i : places) canonical(c.begin + i);
        bool const same = memcmp(expected.data(), c.begin, static_cast<size_t>(c.bytes)) == 0;
        CHECK_MESSAGE(same, "%s", describe("bits by several threads"));
    }
}

void check(const Table& table, DType t, const Trial& trial, Values values = Values::plain) {
    with_elementary_type(t, [&]<class T>(TypeTag<T>) { check<T>(table, t, trial, values); });
}

// Complex numbers have a test of their own; half precision is multiplied in single.
bool has_kernels(DType t) { return !is_complex(t) && computed(t) == t; }
DType random_dtype() {
    DType t;
    do t = static_cast<DType>(below(n_dtypes));
    while (!has_kernels(t));
    return t;
}
Values random_values() { return below(4) ? Values::plain : Values::special; }

void check_small_shapes(const Table& table) {
    for (ptrdiff_t m = 0; m <= 40; ++m)
        for (ptrdiff_t n = 0; n <= 40; ++n)
            for (ptrdiff_t k = 0; k <= 40; ++k)
                if (below(20) < patience)
                    check(table, below(2) ? random_dtype() : DType::float32, {{}, m, n, k},
                          random_values());
}

void check_random_shapes(const Table& table) {
    for (int i = 0; i < 30 * patience; ++i)
        check(table, random_dtype(), {{}, 1 + below(300), 1 + below(300), 1 + below(300)},
              random_values());
    for (int i = 0; i < 30 * patience; ++i) {
        ptrdiff_t length[3] = {1 + below(8), 1 + below(8), 1 + below(8)};
        length[below(3)] = 1 + below(3000);
        length[below(3)] = 1 + below(300);
        check(table, random_dtype(), {{}, length[0], length[1], length[2]}, random_values());
    }
    for (int t = 0; t < n_dtypes; ++t)  // several blocks of every loop
        if (!emulated || below(4) == 0)
            check(table, static_cast<DType>(t),
                  {{}, 100 + below(50), 700 + below(50), 1100 + below(50)});
}

// Symmetric products: the same bits, too, as with a copy of the transpose.
void check_own_transpose(const Table& table) {
    for (int i = 0; i < 60 * patience; ++i) {
        ptrdiff_t const n = 1 + below(below(2) ? 40 : 300), k = 1 + below(below(2) ? 100 : 1200);
        std::vector<ptrdiff_t> batch;
        if (below(3) == 0) batch.push_back(below(4));
        check(table, random_dtype(), {batch, n, n, n < 100 ? k : 1 + k / 4, true}, random_values());
    }
    ptrdiff_t const n = emulated ? 800 : 1500;
    check(table, DType::float32, {{}, n, n, 30, true});  // several blocks of every loop
    check(table, DType::float64, {{}, 200, 200, n, true});
}

template <class T>
void check_symmetry(const Table& table, DType t) {
    for (ptrdiff_t const n : {5, 50, 110, 330, 700}) {
        ptrdiff_t const k = 1 + below(below(2) ? 60 : 700);
        constexpr auto size = static_cast<ptrdiff_t>(sizeof(T));
        std::vector<char> a(static_cast<size_t>(n * k * size)), b(a.size());
        std::vector<char> c(static_cast<size_t>(n * n * size)), d(c.size());
        fill<T>(a.data(), n * k * size, Values::plain);
        memcpy(b.data(), a.data(), a.size());
        Product product = {
            {n, n, k, a.data(), k * size, size, a.data(), size, k * size, c.data(), n * size, size},
            0,
            nullptr,
            nullptr,
            nullptr,
            nullptr};
        CHECK(multiply(table, t, product, unsplit));
        product.b = b.data();
        product.c = d.data();
        CHECK(multiply(table, t, product, unsplit));
        CHECK(memcmp(c.data(), d.data(), c.size()) == 0);
    }
}

void check_vectors(const Table& table) {
    for (int i = 0; i < 60 * patience; ++i) {
        bool const column = below(2);
        ptrdiff_t const length = 1 + below(below(3) ? 40 : 2500);
        ptrdiff_t const k = 1 + below(below(2) ? 40 : 800);
        check(table, random_dtype(), {{}, column ? length : 1, column ? 1 : length, k},
              random_values());
    }
    for (int i = 0; i < 30 * patience; ++i)  // few rows after the last whole piece
        check(table, random_dtype(), {{}, 512 * (1 + below(5)) + below(48), 1, 1 + below(200)});
    for (int i = 0; i < 10 * patience; ++i)  // as one row and as three
        check(table, random_dtype(), {{}, 1, 1, below(below(2) ? 5000 : 70'000)}, random_values());
    for (int i = 0; i < 2 * patience; ++i)  // in several parts
        check(table, random_dtype(), {{}, 1, 1, 60'000 + below(below(2) ? 200'000 : 900'000)},
              random_values());
}

void check_batches(const Table& table) {
    for (int i = 0; i < 60 * patience; ++i) {
        std::vector<ptrdiff_t> batch;
        for (ptrdiff_t d = 1 + below(most_batch); d > 0; --d)
            batch.push_back(below(20) ? 1 + below(4) : below(2));
        ptrdiff_t const most = below(3) ? 10 : 50;
        check(table, random_dtype(), {batch, below(most), below(most), below(most)},
              random_values());
    }
}

// Complex numbers, of any layout and stack, by one thread and by several.
template <class T>
void check_complex(const Table& table, DType part, const Trial& trial) {
    constexpr auto half = static_cast<ptrdiff_t>(sizeof(T)), size = 2 * half;
    using W = typename Wide<T>::type;
    ptrdiff_t const m = trial.m, n = trial.n, k = trial.k;
    Operand const a = place(memory_a, size, m, k, trial.batch, true);
    Operand const b = place(memory_b, size, k, n, trial.batch, true);
    Operand const c = place(memory_c, size, m, n, trial.batch, false);
    fill<T>(a.begin, a.bytes, Values::plain);
    fill<T>(b.begin, b.bytes, Values::plain);
    memset(c.begin, 0xA5, static_cast<size_t>(c.bytes));
    Product const product = {
        {m, n, k, a.data, a.row, a.column, b.data, b.row, b.column, c.data, c.row, c.column},
        static_cast<int>(trial.batch.size()),
        trial.batch.data(),
        a.batch,
        b.batch,
        c.batch};
    CHECK(multiply(table, {part, true}, product, unsplit));
    ptrdiff_t count = 1;
    for (ptrdiff_t const length : trial.batch) count *= length;
    std::vector<char> expected(static_cast<size_t>(c.bytes), static_cast<char>(0xA5));
    bool right = true;
    constexpr auto eps = W{std::numeric_limits<T>::epsilon()};
    for (ptrdiff_t z = 0; z < count; ++z) {
        ptrdiff_t const at_a = offset(a, trial.batch, z), at_b = offset(b, trial.batch, z),
                        at_c = offset(c, trial.batch, z);
        for (ptrdiff_t i = 0; i < m; ++i) {
            for (ptrdiff_t j = 0; j < n; ++j) {
                W re = 0, im = 0, terms = 0;
                for (ptrdiff_t p = 0; p < k; ++p) {
                    const char* const x = a.data + at_a + i * a.row + p * a.column;
                    const char* const y = b.data + at_b + p * b.row + j * b.column;
                    W const xr = at<T>(x), xi = at<T>(x + half), yr = at<T>(y),
                            yi = at<T>(y + half);
                    re += xr * yr - xi * yi;
                    im += xr * yi + xi * yr;
                    terms += (std::fabs(xr) + std::fabs(xi)) * (std::fabs(yr) + std::fabs(yi));
                }
                char* const got = c.data + at_c + i * c.row + j * c.column;
                W const bound = static_cast<W>(2 * k + 1) * eps / 2 * terms;
                right &= std::fabs(at<T>(got) - re) <= bound;
                right &= std::fabs(at<T>(got + half) - im) <= bound;
                memcpy(expected.data() + (got - c.begin), got, static_cast<size_t>(size));
            }
        }
    }
    CHECK_MESSAGE(right, "complex (%td, %td, %td), %zu batch axes, a %td %td, b %td %td, c %td %td",
                  m, n, k, trial.batch.size(), a.row, a.column, b.row, b.column, c.row, c.column);
    CHECK(memcmp(expected.data(), c.begin, static_cast<size_t>(c.bytes)) == 0);
    WorkSplit const split = {{3, true}, 1 + below(500)};
    CHECK(multiply(table, {part, true}, product, split));
    CHECK(memcmp(expected.data(), c.begin, static_cast<size_t>(c.bytes)) == 0);
}

void check_complex_shapes(const Table& table) {
    for (int i = 0; i < 60 * patience; ++i) {
        std::vector<ptrdiff_t> batch;
        for (ptrdiff_t d = below(3); d > 0; --d) batch.push_back(below(20) ? 1 + below(4) : 0);
        ptrdiff_t const most = batch.empty() ? 90 : 12;
        Trial const trial = {batch, below(most), below(most), below(most)};
        if (below(2))
            check_complex<float>(table, DType::float32, trial);
        else
            check_complex<double>(table, DType::float64, trial);
    }
    // Several blocks of every loop.
    check_complex<double>(table, DType::float64,
                          {{}, 60 + below(9), 250 + below(9), 600 + below(9)});
    check_complex<float>(table, DType::float32, {{}, 1 + below(9), 700 + below(9), 300 + below(9)});
}

// A row of a matrix has the same bits among others, row by row, as the only one of its piece, and
// of a result whose elements lie apart.
template <class T>
void check_single_rows(const Table& table, DType t) {
    for (int trial = 0; trial < 20 * patience; ++trial) {
        ptrdiff_t const m = 1 + below(40), k = 1 + below(below(2) ? 300 : 5);
        constexpr auto size = static_cast<ptrdiff_t>(sizeof(T));
        auto const bytes = [](ptrdiff_t n) { return static_cast<size_t>(n * size); };
        std::vector<char> a(bytes(m * k)), x(bytes(k)), together(bytes(m)), singly(bytes(m)),
            alone(bytes(m)), apart(bytes(2 * m)), joined(bytes(m));
        fill<T>(a.data(), m * k * size, Values::plain);
        fill<T>(x.data(), k * size, Values::plain);
        Gemm const& gemm = *table.gemm[static_cast<int>(t)];
        auto const multiply = [&](ptrdiff_t row, ptrdiff_t rows, char* y, ptrdiff_t step,
                                  bool one_by_one) {
            gemm.by_rows({a.data() + row * k * size, k * size, size, x.data(), size, y, step, rows,
                          k, one_by_one});
        };
        multiply(0, m, together.data(), size, false);
        multiply(0, m, singly.data(), size, true);
        multiply(0, m, apart.data(), 2 * size, false);
        for (ptrdiff_t i = 0; i < m; ++i) {
            multiply(i, 1, alone.data() + i * size, size, false);
            std::memcpy(joined.data() + i * size, apart.data() + 2 * i * size, bytes(1));
        }
        CHECK(together == singly && together == alone && together == joined);
    }
}

// Equal matrices have equal products, wherever in a batch and wherever in memory they are.
template <class T>
void check_places(const Table& table, DType t) {
    for (int trial = 0; trial < 10 * patience; ++trial) {
        ptrdiff_t const m = 1 + below(40), n = 1 + below(40), k = 1 + below(100), count = 9;
        constexpr auto size = static_cast<ptrdiff_t>(sizeof(T));
        ptrdiff_t const a_bytes = m * k * size, b_bytes = k * n * size, c_bytes = m * n * size;
        ptrdiff_t const a_step = a_bytes + below(9), b_step = b_bytes + below(9),
                        c_step = c_bytes + below(9);
        std::vector<char> a(static_cast<size_t>(count * a_step)),
            b(static_cast<size_t>(count * b_step)), c(static_cast<size_t>(count * c_step));
        fill<T>(a.data(), a_bytes, Values::plain);
        fill<T>(b.data(), b_bytes, Values::plain);
        for (ptrdiff_t z = 1; z < count; ++z) {
            memcpy(a.data() + z * a_step, a.data(), static_cast<size_t>(a_bytes));
            memcpy(b.data() + z * b_step, b.data(), static_cast<size_t>(b_bytes));
        }
        Product const product = {
            {m, n, k, a.data(), k * size, size, b.data(), n * size, size, c.data(), n * size, size},
            1,
            &count,
            &a_step,
            &b_step,
            &c_step};
        CHECK(multiply(table, t, product, unsplit));
        for (ptrdiff_t z = 1; z < count; ++z)
            CHECK(memcmp(c.data(), c.data() + z * c_step, static_cast<size_t>(c_bytes)) == 0);
    }
}

void check_memory_faults(const Table& table) {
    // Too long to go without packing: B does not fit into L2.
    ptrdiff_t n = 400;
    while (n * n * 4 < cache_sizes().l2) n += 100;
    std::vector<float> a(static_cast<size_t>(n * n), 1.0F), c(a.size());
    ptrdiff_t const row = n * 4;
    char* const p = reinterpret_cast<char*>(a.data());
    Product const product = {
        {n, n, n, p, row, 4, p, row, 4, reinterpret_cast<char*>(c.data()), row, 4},
        0,
        nullptr,
        nullptr,
        nullptr,
        nullptr};
    for (int64_t fault = 1; fault < 2; ++fault) {
        fail_allocation(fault, false);
        CHECK(!multiply(table, DType::float32, product, unsplit));
    }
    fail_allocation(0, false);
    CHECK(multiply(table, DType::float32, product, unsplit));
}

}  // namespace

int main() {
    for (int i = 0; i < n_isas; ++i) {
        const Table* const own = table(static_cast<Isa>(i));
        if (!own) continue;
        for (int t = 0; t < n_dtypes; ++t) {
            auto const dtype = static_cast<DType>(t);
            CHECK(has_gemm(*own, dtype) == has_kernels(dtype));
        }
        check_small_shapes(*own);
        check_random_shapes(*own);
        check_own_transpose(*own);
        check_symmetry<float>(*own, DType::float32);
        check_symmetry<double>(*own, DType::float64);
        check_vectors(*own);
        check_batches(*own);
        check_complex_shapes(*own);
        check_single_rows<float>(*own, DType::float32);
        check_single_rows<double>(*own, DType::float64);
        check_single_rows<int32_t>(*own, DType::int32);
        check_places<float>(*own, DType::float32);
        check_places<double>(*own, DType::float64);
        check_memory_faults(*own);
        std::printf("%s: %ld\n", isa_name(static_cast<Isa>(i)), checks.passed);
    }
    stop_pool();
    return checks.report("gemm");
}
