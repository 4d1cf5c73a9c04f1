// The BLAS library against plain loops: every function, type and layout, by one thread and by
// several, from several threads at once and around forks. RAPTORS_TEST_BLAS names the library;
// without it, only what needs none is tested.
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <complex>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <vector>

#include "check.h"
#include "frame/run/blas.h"
#include "frame/threads/pool.h"

using namespace raptors;

namespace {

constexpr BlasType types[] = {BlasType::float32, BlasType::float64, BlasType::complex64,
                              BlasType::complex128};

// body.operator()<T>()
template <class Body>
void for_types(const Body& body) {
    body.template operator()<float>(BlasType::float32);
    body.template operator()<double>(BlasType::float64);
    body.template operator()<std::complex<float>>(BlasType::complex64);
    body.template operator()<std::complex<double>>(BlasType::complex128);
}

template <class T>
constexpr bool is_complex = !std::is_floating_point_v<T>;
template <class T>
using Real = decltype(std::abs(T()));

template <class T>
T number(uint64_t& seed) {
    auto next = [&] {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        return static_cast<Real<T>>(static_cast<double>(seed >> 40) * 0x1p-24 - 0.5);
    };
    if constexpr (is_complex<T>) {
        auto const re = next();
        return {re, next()};
    } else {
        return next();
    }
}
template <class T>
T conjugate(T x) {
    if constexpr (is_complex<T>)
        return std::conj(x);
    else
        return x;
}

// A matrix in memory of its own: rows or columns without gaps, `gap` elements between them.
template <class T>
struct Matrix {
    Matrix(int64_t rows_, int64_t columns_, bool transposed, int64_t gap, uint64_t seed)
        : rows(rows_), columns(columns_), inner(transposed ? rows_ : columns_) {
        step = transposed ? 1 : inner + gap;
        across = transposed ? inner + gap : 1;
        memory.resize(static_cast<size_t>((transposed ? columns : rows) * (inner + gap) + 1));
        for (T& x : memory) x = number<T>(seed);
    }
    T& operator()(int64_t i, int64_t j) {
        return memory[static_cast<size_t>(i * step + j * across)];
    }
    BlasMatrix blas(BlasType t) {
        BlasMatrix m;
        constexpr ptrdiff_t size = sizeof(T);
        CHECK(blas_matrix(reinterpret_cast<char*>(memory.data()), rows, columns, step * size,
                          across * size, t, &m));
        return m;
    }
    int64_t rows, columns, inner, step, across;
    std::vector<T> memory;
};

template <class T>
struct Vector {
    Vector(int64_t n_, int64_t step_, uint64_t seed) : n(n_), step(step_) {
        memory.resize(static_cast<size_t>(n * step));
        for (T& x : memory) x = number<T>(seed);
    }
    T& operator()(int64_t i) { return memory[static_cast<size_t>(i * step)]; }
    BlasVector blas(BlasType t) {
        BlasVector v;
        CHECK(blas_vector(reinterpret_cast<char*>(memory.data()), n,
                          step * static_cast<ptrdiff_t>(sizeof(T)), t, &v));
        return v;
    }
    int64_t n, step;
    std::vector<T> memory;
};

// Within the error of n products of numbers below 1.
template <class T>
bool near(T x, T y, int64_t n) {
    return std::abs(x - y) <=
           Real<T>(4) * std::numeric_limits<Real<T>>::epsilon() * static_cast<Real<T>>(n + 4);
}

struct Shape {
    int64_t m, n, k;
};

template <class T>
void test_gemm(const Blas& b, BlasType t, const Shape& s, int layouts, int threads, int64_t gap) {
    Matrix<T> x(s.m, s.k, layouts & 1, gap, 1), y(s.k, s.n, layouts & 2, gap, 2),
        z(s.m, s.n, layouts & 4, gap, 3);
    for (double const beta : {0.0, 1.0, -0.5}) {
        double const alpha = beta > 0 ? -2 : 1;
        Matrix<T> old = z;
        if (beta == 0) std::fill(z.memory.begin(), z.memory.end(), std::nan(""));
        {
            BlasUse const use(b, threads);
            CHECK(use.gemm(t, s.m, s.n, s.k, alpha, x.blas(t), y.blas(t), beta, z.blas(t)));
        }
        long wrong = 0;
        for (int64_t i = 0; i < s.m; ++i)
            for (int64_t j = 0; j < s.n; ++j) {
                T sum = 0;
                for (int64_t l = 0; l < s.k; ++l) sum += x(i, l) * y(l, j);
                sum *= static_cast<Real<T>>(alpha);
                if (beta != 0) sum += static_cast<Real<T>>(beta) * old(i, j);
                wrong += !near(z(i, j), sum, s.k);
            }
        CHECK_MESSAGE(wrong == 0, "gemm type %d (%ld %ld %ld) layouts %d threads %d: %ld wrong",
                      static_cast<int>(t), static_cast<long>(s.m), static_cast<long>(s.n),
                      static_cast<long>(s.k), layouts, threads, wrong);
        z = old;
    }
}

template <class T>
void test_syrk(const Blas& b, BlasType t, int64_t n, int64_t k, int layouts, int threads) {
    Matrix<T> x(n, k, layouts & 1, 3, 4), z(n, n, layouts & 2, 2, 5);
    {
        BlasUse const use(b, threads);
        CHECK(use.syrk(t, n, k, x.blas(t), z.blas(t)));
    }
    long wrong = 0;
    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j) {
            T sum = 0;
            for (int64_t l = 0; l < k; ++l) sum += x(i, l) * x(j, l);
            wrong += !near(z(i, j), sum, k) || z(i, j) != z(j, i);
        }
    CHECK_MESSAGE(wrong == 0, "syrk type %d %ld %ld layouts %d: %ld wrong", static_cast<int>(t),
                  static_cast<long>(n), static_cast<long>(k), layouts, wrong);
}

template <class T>
void test_gemv(const Blas& b, BlasType t, int64_t m, int64_t n, int layouts, int threads) {
    Matrix<T> a(m, n, layouts & 1, layouts, 6);
    Vector<T> x(n, layouts & 2 ? 3 : 1, 7), y(m, layouts & 4 ? 2 : 1, 8);
    BlasUse const use(b, threads);
    Vector<T> old = y;
    CHECK(use.gemv(t, m, n, 2, a.blas(t), x.blas(t), -1, y.blas(t)));
    long wrong = 0;
    for (int64_t i = 0; i < m; ++i) {
        T sum = 0;
        for (int64_t j = 0; j < n; ++j) sum += a(i, j) * x(j);
        wrong += !near(y(i), Real<T>(2) * sum - old(i), 2 * n);
    }
    CHECK_MESSAGE(wrong == 0, "gemv type %d %ld %ld layouts %d: %ld wrong", static_cast<int>(t),
                  static_cast<long>(m), static_cast<long>(n), layouts, wrong);
}

template <class T>
void test_vectors(const Blas& b, BlasType t, int64_t n, int64_t step_x, int64_t step_y,
                  int threads) {
    Vector<T> x(n, step_x, 9), y(n, step_y, 10);
    T sum = 0, conjugated = 0, got = 0;
    for (int64_t i = 0; i < n; ++i) {
        sum += x(i) * y(i);
        conjugated += conjugate(x(i)) * y(i);
    }
    BlasUse const use(b, threads);
    CHECK(use.dot(t, n, x.blas(t), y.blas(t), false, &got) && near(got, sum, n));
    CHECK(use.dot(t, n, x.blas(t), y.blas(t), true, &got) && near(got, conjugated, n));
}

void test_layouts() {
    alignas(64) static char memory[256];
    BlasMatrix m;
    BlasVector v;
    for (BlasType const t : types) {
        ptrdiff_t const s = item_bytes(t);
        auto takes = [&](ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t down, ptrdiff_t right) {
            return blas_matrix(memory, rows, columns, down, right, t, &m);
        };
        auto is = [&](int64_t leading, bool transposed) {
            return m.data == memory && m.leading == leading && m.transposed == transposed;
        };
        CHECK(takes(3, 5, 5 * s, s) && is(5, false));
        CHECK(takes(3, 5, s, 3 * s) && is(3, true));
        CHECK(takes(3, 5, 8 * s, s) && is(8, false));
        CHECK(takes(3, 5, s, 4 * s) && is(4, true));
        CHECK(!takes(3, 5, 4 * s, s));  // rows overlap
        CHECK(!takes(3, 5, 0, s));      // broadcast
        CHECK(!takes(3, 5, s, 0));
        CHECK(!takes(3, 5, 10 * s, 2 * s));  // gaps
        CHECK(!takes(3, 5, -5 * s, s));      // backwards
        CHECK(!takes(3, 5, 5 * s, -s));
        CHECK(!takes(3, 5, 5 * s + 1, s));  // no whole number of elements
        CHECK(!takes(3, 3, s, s));
        // One row, one column, one element, nothing: a stride that is not used may be anything.
        CHECK(takes(1, 5, -7, s) && is(5, false));
        CHECK(takes(1, 5, -7, 3 * s) && is(3, true));
        CHECK(takes(5, 1, 3 * s, 0) && is(3, false));
        CHECK(takes(5, 1, s, 1) && is(1, false));
        CHECK(takes(1, 1, 0, 0) && is(1, false));
        CHECK(takes(0, 5, 5 * s, s) && is(5, false));
        CHECK(takes(5, 0, s, s) && m.leading >= 1);
        CHECK(!blas_matrix(memory + 1, 3, 5, 5 * s, s, t, &m));
        // Complex numbers are as aligned as their parts.
        CHECK(blas_matrix(memory + 4, 3, 5, 5 * s, s, t, &m) ==
              (t == BlasType::float32 || t == BlasType::complex64));
        CHECK(blas_matrix(memory + 8, 3, 5, 5 * s, s, t, &m));
        CHECK(blas_vector(memory, 4, s, t, &v) && v.step == 1);
        CHECK(blas_vector(memory, 4, 3 * s, t, &v) && v.step == 3);
        CHECK(blas_vector(memory, 1, -3, t, &v) && v.step == 1);
        CHECK(!blas_vector(memory, 4, 0, t, &v) && !blas_vector(memory, 4, -s, t, &v));
        CHECK(!blas_vector(memory, 4, s + 1, t, &v) && !blas_vector(memory + 1, 4, s, t, &v));
    }
}

// Several callers at once, with one thread and with several, each its own layout.
const Blas* shared;
std::atomic<long> wrong_products{0};
struct Caller {
    int number, rounds;
};
void* multiply(void* argument) {
    auto const c = *static_cast<Caller*>(argument);
    constexpr BlasType t = BlasType::float64;
    for (int i = 0; i < c.rounds; ++i) {
        int64_t const n = 20 + 37 * ((i + c.number) % 5);
        int const layouts = c.number + i;
        Matrix<double> x(n, n, layouts & 1, 1, 12), y(n, n, layouts & 2, 0, 13),
            z(n, n, layouts & 4, 2, 14);
        {
            BlasUse const use(*shared, 1 + (i + c.number) % 3);
            use.gemm(t, n, n, n, 1, x.blas(t), y.blas(t), 0, z.blas(t));
        }
        for (int64_t j = 0; j < n; ++j) {
            double sum = 0;
            for (int64_t l = 0; l < n; ++l) sum += x(j, l) * y(l, n - 1 - j);
            wrong_products += !near(z(j, n - 1 - j), sum, n);
        }
    }
    return nullptr;
}

void test_callers(int count, int rounds, int forks) {
    std::vector<pthread_t> threads(static_cast<size_t>(count));
    std::vector<Caller> callers(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) {
        callers[static_cast<size_t>(i)] = {i, rounds};
        pthread_create(&threads[static_cast<size_t>(i)], nullptr, multiply,
                       &callers[static_cast<size_t>(i)]);
    }
    for (int i = 0; i < forks; ++i) {
        pid_t const child = fork();
        if (child == 0) {
            alarm(20);
            Caller mine = {i, 6};
            wrong_products = 0;
            multiply(&mine);
            _exit(wrong_products != 0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        CHECK_MESSAGE(status == 0, "a child ended with %d", status);
    }
    for (pthread_t const thread : threads) pthread_join(thread, nullptr);
    CHECK_MESSAGE(wrong_products == 0, "%ld wrong products", wrong_products.load());
}

// Chunks of the pool call under the use of their caller.
void test_chunks(const Blas& b) {
    constexpr BlasType t = BlasType::float32;
    constexpr ptrdiff_t chunks = 64, n = 24;
    std::vector<Matrix<float>> x(chunks, {n, n, false, 0, 15}), z(chunks, {n, n, true, 1, 16});
    Matrix<float> y(n, n, true, 0, 17);
    {
        BlasUse const use(b, 1);
        Team const team = {use.shareable() ? 4 : 1, true};
        for_chunks(chunks, team, [&](ptrdiff_t i) {
            auto const at = static_cast<size_t>(i);
            use.gemm(t, n, n, n, 1, x[at].blas(t), y.blas(t), 0, z[at].blas(t));
        });
    }
    for (ptrdiff_t i = 1; i < chunks; ++i)
        for (ptrdiff_t j = 0; j < n; ++j) CHECK(z[static_cast<size_t>(i)](j, j) == z[0](j, j));
}

void test_library(const Blas& b) {
    std::printf("%s %s %s %s %s, %s\n", b.name, b.version, b.ilp64 ? "ILP64" : "LP64", b.layer,
                b.architecture, b.file);
    CHECK(blas() == &b && loaded_blas() == &b && *blas_failure() == 0);
    CHECK(blas_threads(1) == 1);
    BlasStats const before = blas_stats();
    {
        BlasUse const one(b, 1, true);
        CHECK(one.threads() == 1);
        BlasVector const v = {nullptr, 1};
        double result;
        if (!b.ilp64) CHECK(!one.dot(BlasType::float64, int64_t{1} << 31, v, v, false, &result));
    }
    CHECK(blas_stats().calls == before.calls + 1 && blas_stats().copied == before.copied + 1);
    for (int const threads : {1, 3})
        for_types([&]<class T>(BlasType t) {
            for (const Shape& s : {Shape{1, 1, 1},
                                   {1, 7, 3},
                                   {5, 1, 9},
                                   {3, 4, 0},
                                   {17, 33, 19},
                                   {130, 70, 90},
                                   {200, 200, 8}})
                for (int layouts = 0; layouts < 8; ++layouts)
                    test_gemm<T>(b, t, s, layouts, threads, layouts % 3);
            for (int layouts = 0; layouts < 4; ++layouts)
                for (int64_t const n : {1, 5, 33, 150}) test_syrk<T>(b, t, n, 40, layouts, threads);
            for (int layouts = 0; layouts < 8; ++layouts) {
                test_gemv<T>(b, t, 1, 1, layouts, threads);
                test_gemv<T>(b, t, 31, 17, layouts, threads);
                test_gemv<T>(b, t, 400, 500, layouts, threads);
            }
            for (int64_t const n : {1, 2, 100, 20001}) {
                test_vectors<T>(b, t, n, 1, 1, threads);
                test_vectors<T>(b, t, n, 3, 2, threads);
            }
        });
    test_chunks(b);
    shared = &b;
    test_callers(8, 30 * patience, emulated ? 0 : 20);
    test_callers(0, 0, 3);
}

}  // namespace

int main() {
    test_layouts();
    CHECK(loaded_blas() == nullptr && *blas_failure() == 0);
    CHECK(blas_threads(3) == 3);
    if (const char* const library = std::getenv("RAPTORS_TEST_BLAS")) {
        choose_blas(library);
        const Blas* const b = blas();
        CHECK_MESSAGE(b, "%s", blas_failure());
        if (b) test_library(*b);
    } else {
        choose_blas("/nowhere/libblas.so");
        CHECK(blas() == nullptr && std::strstr(blas_failure(), "nowhere"));
        CHECK(blas() == nullptr && loaded_blas() == nullptr);
        std::printf("RAPTORS_TEST_BLAS names no library\n");
    }
    return checks.report("blas");
}
