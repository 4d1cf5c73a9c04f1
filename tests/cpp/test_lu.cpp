// Equations and determinants against Gauss's elimination in long double: every order, layout and
// stack, on every ISA.
#include <cfenv>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "api/table.h"
#include "check.h"
#include "dispatch.h"
#include "frame/run/solve.h"
#include "walled.h"

using namespace raptors;

namespace {

std::mt19937_64 generator(1);
ptrdiff_t below(ptrdiff_t n) {
    return static_cast<ptrdiff_t>(generator() % static_cast<uint64_t>(n));
}
double number() { return static_cast<double>(generator() >> 11) * 0x1p-52 - 1; }

template <class T>
T at(const char* p) {
    T x;
    memcpy(&x, p, sizeof x);
    return x;
}
template <class T>
void set(char* p, T x) {
    memcpy(p, &x, sizeof x);
}

const Walled memory_a, memory_b, memory_out;

constexpr int most_dims = 3;

// A stack of matrices of any layout, flush against a wall.
struct Operand {
    char* data;
    ptrdiff_t row, column;
    ptrdiff_t stack[most_dims];
};

Operand place(const Walled& memory, ptrdiff_t size, ptrdiff_t rows, ptrdiff_t columns,
              const std::vector<ptrdiff_t>& shape) {
    Operand x{};
    ptrdiff_t step = size * (below(3) ? 1 : 1 + below(3)), before = 0, after = 0;
    auto add = [&](ptrdiff_t& stride, ptrdiff_t length, bool repeats) {
        bool const turned = below(5) == 0;
        stride = repeats ? 0 : turned ? -step : step;
        (turned ? before : after) += repeats ? 0 : (length - 1) * step;
        if (!repeats) step *= length;
        if (below(4) == 0) step += size * below(5);
    };
    bool const by_columns = below(3) == 0;
    if (by_columns) add(x.row, rows, false);
    add(x.column, columns, false);
    if (!by_columns) add(x.row, rows, false);
    for (size_t d = shape.size(); d-- > 0;) add(x.stack[d], shape[d], below(6) == 0);
    ptrdiff_t const odd = below(3) ? 0 : below(size);  // unaligned
    ptrdiff_t const bytes = before + after + size + odd;
    x.data = memory.place(bytes, below(2) > 0) + before + odd * below(2);
    return x;
}

// Calls body(offset in a, offset in b, place in the stack's C order).
template <class Body>
void for_each(const std::vector<ptrdiff_t>& shape, const Operand& a, const Operand& b, Body body) {
    ptrdiff_t count = 1;
    for (ptrdiff_t const n : shape) count *= n;
    for (ptrdiff_t z = 0; z < count; ++z) {
        ptrdiff_t rest = z, in_a = 0, in_b = 0;
        for (size_t d = shape.size(); d-- > 0;) {
            in_a += rest % shape[d] * a.stack[d];
            in_b += rest % shape[d] * b.stack[d];
            rest /= shape[d];
        }
        body(in_a, in_b, z);
    }
}

// By complete pivoting.
long double determinant_of(std::vector<long double> a, int n) {
    auto at = [&](int i, int j) -> long double& { return a[static_cast<size_t>(i * n + j)]; };
    long double product = 1;
    for (int k = 0; k < n; ++k) {
        int row = k, column = k;
        for (int i = k; i < n; ++i)
            for (int j = k; j < n; ++j)
                if (std::fabs(at(i, j)) > std::fabs(at(row, column))) row = i, column = j;
        for (int j = 0; j < n; ++j) std::swap(at(k, j), at(row, j));
        for (int i = 0; i < n; ++i) std::swap(at(i, k), at(i, column));
        if ((row != k) != (column != k)) product = -product;
        product *= at(k, k);
        if (at(k, k) == 0) return 0;
        for (int i = k + 1; i < n; ++i) {
            long double const factor = at(i, k) / at(k, k);
            for (int j = k; j < n; ++j) at(i, j) -= factor * at(k, j);
        }
    }
    return product;
}

struct Trial {
    int n;
    ptrdiff_t columns;  // 0: the inverse
    std::vector<ptrdiff_t> shape;
};

template <class T>
void check(const Table& table, DType t, const Trial& trial) {
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(T));
    constexpr long double eps = std::numeric_limits<double>::epsilon();
    constexpr long double rounding = std::numeric_limits<T>::epsilon();
    int const n = trial.n;
    bool const inverse = trial.columns == 0;
    ptrdiff_t const columns = inverse ? n : trial.columns;
    Operand const a = place(memory_a, size, n, n, trial.shape);
    Operand const b = place(memory_b, size, n, columns, trial.shape);
    ptrdiff_t count = 1;
    for (ptrdiff_t const length : trial.shape) count *= length;
    for_each(trial.shape, a, b, [&](ptrdiff_t in_a, ptrdiff_t in_b, ptrdiff_t) {
        // Rows of any scale, in any order.
        for (int i = 0; i < n; ++i) {
            double const scale = std::ldexp(1, static_cast<int>(below(5)));
            for (int j = 0; j < n; ++j)
                set(a.data + in_a + i * a.row + j * a.column, static_cast<T>(number() * scale));
            for (ptrdiff_t j = 0; j < columns; ++j)
                set(b.data + in_b + i * b.row + j * b.column, static_cast<T>(number() * scale));
        }
    });

    EquationStack stack{};
    stack.n = n;
    stack.columns = columns;
    stack.a = a.data;
    stack.a_row = a.row;
    stack.a_column = a.column;
    stack.b = inverse ? nullptr : b.data;
    stack.b_row = b.row;
    stack.b_column = b.column;
    stack.dims = static_cast<int>(trial.shape.size());
    stack.shape = trial.shape.data();
    stack.a_stack = a.stack;
    stack.b_stack = b.stack;

    // The same bits by several threads, and nothing written beyond.
    auto run_all = [&](EquationsFn kernel, ptrdiff_t out_bytes) {
        ptrdiff_t const bytes = count * out_bytes;
        stack.out_bytes = out_bytes;
        stack.out_column = size;
        stack.out_row = columns * size;
        stack.out = memory_out.place(bytes, true);
        memset(stack.out - 64, 0xA5, 64);
        std::feclearexcept(FE_ALL_EXCEPT);
        bool const sound = run(kernel, stack, unsplit);
        CHECK(!std::fetestexcept(FE_INVALID | FE_OVERFLOW | FE_DIVBYZERO | FE_UNDERFLOW));
        for (int i = 1; i <= 64; ++i) CHECK(stack.out[-i] == static_cast<char>(0xA5));
        std::vector<char> const alone(stack.out, stack.out + bytes);
        memset(stack.out, 0xA5, static_cast<size_t>(bytes));
        CHECK(run(kernel, stack, {{4, true}, 1 + below(20)}) == sound);
        CHECK(memcmp(stack.out, alone.data(), alone.size()) == 0);
        return sound;
    };
    auto matrix = [&](ptrdiff_t in_a) {
        std::vector<long double> m(static_cast<size_t>(n * n));
        for (int i = 0; i < n; ++i)
            for (int j = 0; j < n; ++j)
                m[static_cast<size_t>(i * n + j)] = at<T>(a.data + in_a + i * a.row + j * a.column);
        return m;
    };
    auto describe = [&](const char* what) {
        std::printf("%s %s, n %d, %td columns, %zu axes, %td matrices: ",
                    dtype_info[static_cast<int>(t)].name, what, n, trial.columns,
                    trial.shape.size(), count);
        return "wrong";
    };

    // Residuals within the backward error of the elimination (Higham, Accuracy and Stability of
    // Numerical Algorithms, 9.3) and of the last rounding.
    bool right = run_all(table.solve[static_cast<int>(t)], n * columns * size);
    for_each(trial.shape, a, b, [&](ptrdiff_t in_a, ptrdiff_t in_b, ptrdiff_t z) {
        auto const m = matrix(in_a);
        for (ptrdiff_t c = 0; c < columns; ++c) {
            const char* const x = stack.out + (z * n * columns + c) * size;
            long double largest = 0;
            for (int j = 0; j < n; ++j)
                largest = std::fmax(largest, std::fabs(at<T>(x + j * columns * size)));
            for (int i = 0; i < n; ++i) {
                long double residual = inverse ? static_cast<T>(i == c)
                                               : at<T>(b.data + in_b + i * b.row + c * b.column);
                long double norm = 0;
                for (int j = 0; j < n; ++j) {
                    auto const element = m[static_cast<size_t>(i * n + j)];
                    residual -= element * static_cast<long double>(at<T>(x + j * columns * size));
                    norm += std::fabs(element);
                }
                long double const bound = 8 * n * n * eps + (size == 4 ? rounding : 0);
                right &= std::fabs(residual) <= bound * largest * std::fmax(norm, 16.0L);
            }
        }
    });
    CHECK_MESSAGE(right, "%s", describe("solution"));

    stack.b = nullptr;
    stack.columns = 0;
    right = run_all(table.determinant[static_cast<int>(t)], size);
    for_each(trial.shape, a, b, [&](ptrdiff_t in_a, ptrdiff_t, ptrdiff_t z) {
        auto const m = matrix(in_a);
        long double hadamard = 1;
        for (int i = 0; i < n; ++i) {
            long double norm = 0;
            for (int j = 0; j < n; ++j)
                norm += m[static_cast<size_t>(i * n + j)] * m[static_cast<size_t>(i * n + j)];
            hadamard *= std::sqrt(norm);
        }
        long double const exact = determinant_of(m, n);
        long double const got = at<T>(stack.out + z * size);
        right &= std::fabs(got - exact) <=
                 8 * n * n * eps * hadamard + (size == 4 ? rounding * std::fabs(exact) : 0);
    });
    CHECK_MESSAGE(right, "%s", describe("determinant"));
}

void check(const Table& table, const Trial& trial) {
    if (below(2))
        check<double>(table, DType::float64, trial);
    else
        check<float>(table, DType::float32, trial);
}

// Matrices one after the other in C order, and so their inverses.
template <class T>
Equations packed(int n, ptrdiff_t count, const T* a, T* out) {
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(T));
    Equations e{};
    e.n = n;
    e.columns = n;
    e.count = count;
    e.a = reinterpret_cast<const char*>(a);
    e.out = reinterpret_cast<char*>(out);
    e.a_row = e.out_row = n * size;
    e.a_column = e.out_column = size;
    e.a_next = e.out_next = n * n * size;
    return e;
}

// One matrix among many, in each lane, that is not fit.
template <class T>
void check_unfit(const Table& table, DType t) {
    constexpr auto size = static_cast<ptrdiff_t>(sizeof(T));
    auto const solve = table.solve[static_cast<int>(t)];
    auto const determinant = table.determinant[static_cast<int>(t)];
    for (int n = 1; n <= most_small; ++n) {
        for (ptrdiff_t const count : {1, 2, 3, 7, 8, 9, 16, 19}) {
            auto const elements = static_cast<size_t>(n * n);
            std::vector<T> a(static_cast<size_t>(count) * elements), out(a.size());
            std::vector<T> b(static_cast<size_t>(count * n), T{1});
            Equations const inverses = packed<T>(n, count, a.data(), out.data());
            Equations by_vector = inverses;
            by_vector.columns = 1;
            by_vector.b = reinterpret_cast<const char*>(b.data());
            by_vector.b_row = size;
            by_vector.b_next = n * size;
            Equations determinants = inverses;
            determinants.out_next = size;
            for (ptrdiff_t unfit = -1; unfit < count; ++unfit) {
                for (T& x : a) x = static_cast<T>(number());
                for (ptrdiff_t z = 0; z < count; ++z)  // far from singular
                    for (int i = 0; i < n; ++i)
                        a[static_cast<size_t>(z * n * n + i * (n + 1))] += 4;
                if (unfit < 0) {
                    CHECK(solve(inverses) && solve(by_vector) && determinant(determinants));
                    continue;
                }
                T* const m = a.data() + unfit * n * n;
                T* const v = b.data() + unfit * n;
                std::vector<T> const before(m, m + n * n);
                auto each = [&](bool fit_for_determinant, auto spoil) {
                    std::copy(before.begin(), before.end(), m);
                    spoil();
                    CHECK(!solve(inverses));
                    CHECK(!solve(by_vector));
                    CHECK(determinant(determinants) == fit_for_determinant);
                    std::feclearexcept(FE_ALL_EXCEPT);
                };
                for (T const special : {static_cast<T>(NAN), static_cast<T>(INFINITY)})
                    each(false, [&] { m[below(n * n)] = special; });
                // A column of zeros; two equal columns; nearly so.
                ptrdiff_t const column = below(n), other = (column + 1) % n;
                each(true, [&] {
                    for (int i = 0; i < n; ++i) m[i * n + column] = 0;
                });
                CHECK(out[static_cast<size_t>(unfit)] == 0);
                CHECK(!std::signbit(out[static_cast<size_t>(unfit)]));
                if (n > 1) {
                    each(false, [&] {
                        for (int i = 0; i < n; ++i) m[i * n + column] = m[i * n + other];
                    });
                    if (size == 8)
                        each(false, [&] {
                            for (int i = 0; i < n; ++i)
                                m[i * n + column] =
                                    m[i * n + other] * static_cast<T>(1 + 1e-15 * number());
                        });
                }
                std::copy(before.begin(), before.end(), m);
                v[below(n)] = static_cast<T>(NAN);
                CHECK(!solve(by_vector));
                for (int i = 0; i < n; ++i) v[i] = 1;
                v[below(n)] = static_cast<T>(-INFINITY);
                CHECK(!solve(by_vector));
                for (int i = 0; i < n; ++i) v[i] = 1;
            }
        }
    }
}

void check_exact(const Table& table) {
    auto const solve = table.solve[static_cast<int>(DType::float64)];
    auto const determinant = table.determinant[static_cast<int>(DType::float64)];
    double const a[] = {1, 2, 3, -1, 0, 1, 1, 1, 0};
    double out[9];
    CHECK(determinant(packed(3, 1, a, out)));
    CHECK(out[0] == -2);
    CHECK(solve(packed(3, 1, a, out)));
    double const wanted[] = {0.5, -1.5, -1, -0.5, 1.5, 2, 0.5, -0.5, -1};
    for (int i = 0; i < 9; ++i) CHECK(out[i] == wanted[i]);

    // The first of two largest elements is the pivot: with the second one x[0] is 0.
    double const tie[] = {1, 1e-17, 1, 1}, b[] = {3e-17, 1};
    Equations e = packed(2, 1, tie, out);
    e.columns = 1;
    e.b = reinterpret_cast<const char*>(b);
    e.b_row = sizeof(double);
    e.out_row = sizeof(double);
    CHECK(solve(e));
    CHECK(out[0] == 3e-17 - 1e-17);
    CHECK(out[1] == 1);

    // A column of zeros makes no negative zero.
    double const negative[] = {-1, 0, 0, 0};
    CHECK(determinant(packed(2, 1, negative, out)));
    CHECK(out[0] == 0 && !std::signbit(out[0]));
}

}  // namespace

int main() {
    for (int i = 0; i < n_isas; ++i) {
        const Table* const own = table(static_cast<Isa>(i));
        if (!own) continue;
        check_exact(*own);
        check_unfit<float>(*own, DType::float32);
        check_unfit<double>(*own, DType::float64);
        for (int n = 1; n <= most_small; ++n) {
            for (ptrdiff_t count = 1; count <= 20; ++count)
                for (ptrdiff_t const columns : {0, 1, 2, 5}) check(*own, {n, columns, {count}});
            for (int trial = 0; trial < 16 * patience; ++trial) {
                std::vector<ptrdiff_t> shape;
                for (ptrdiff_t d = below(most_dims + 1); d > 0; --d) shape.push_back(1 + below(6));
                check(*own, {n, below(12), shape});
            }
        }
        std::printf("%s: %ld\n", isa_name(static_cast<Isa>(i)), checks.passed);
    }
    stop_pool();
    return checks.report("lu");
}
