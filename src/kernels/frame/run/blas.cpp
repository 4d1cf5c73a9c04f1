#include "frame/run/blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <atomic>
#include <climits>
#include <complex>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "frame/threads/clock.h"

namespace raptors {
namespace {

// ---- symbols

enum Routine { r_gemm, r_syrk, r_gemv, r_dot, r_dotc };
constexpr int n_routines = r_dotc + 1, n_types = 4;
// Complex products of vectors return their result through a pointer: compilers disagree on others.
constexpr const char* names[n_routines][n_types] = {
    {"sgemm", "dgemm", "cgemm", "zgemm"},       {"ssyrk", "dsyrk", "csyrk", "zsyrk"},
    {"sgemv", "dgemv", "cgemv", "zgemv"},       {"sdot", "ddot", "cdotu_sub", "zdotu_sub"},
    {"sdot", "ddot", "cdotc_sub", "zdotc_sub"},
};

// How libraries decorate names; the suffix of OpenBLAS's own functions is the same.
struct NameScheme {
    const char *prefix, *suffix;
    bool ilp64;  // as far as the names tell
};
constexpr NameScheme name_schemes[] = {
    {"scipy_", "64_", true},
    {"scipy_", "", false},
    {"", "64_", true},
    {"", "_64", true},
#if defined(__APPLE__)
    {"", "$NEWLAPACK$ILP64", true},  // Accelerate since macOS 13.3
#endif
    {"", "", false},
};

struct Library {
    Blas blas;
    void* handle;
    void* routines[n_routines][n_types];
    // OpenBLAS's; null elsewhere: the library then has threads as it likes.
    int (*get_threads)();
    void (*set_threads)(int);
    int first_threads;  // what it came with
    int most_threads;
};
Library library;

void* find(void* handle, const NameScheme& s, const char* stem, const char* name) noexcept {
    char symbol[80];
    std::snprintf(symbol, sizeof symbol, "%s%s%s%s", s.prefix, stem, name, s.suffix);
    return dlsym(handle, symbol);
}

template <class F>
void find_as(F** function, const Library& l, const NameScheme& s, const char* name) noexcept {
    *function = reinterpret_cast<F*>(find(l.handle, s, "openblas_", name));
}

template <size_t n>
void copy_text(char (&to)[n], const char* from, size_t length = n) noexcept {
    std::snprintf(to, n, "%.*s", static_cast<int>(length < n ? length : n - 1), from);
}

// ---- who uses the library

constexpr int64_t patience_ns = 100'000;  // for others' short calls, before we do with one thread
constexpr int spins = 64;

struct Gate {
    std::atomic<int> state{0};  // how many use it together, with one thread each; -1: one, alone
    std::atomic<int> forks{0};  // that wait: nobody enters before them
    std::atomic<int> sleepers{0};
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
    int found = 0;  // the library's number of threads before the first of those who use it
};
Gate gate;
std::atomic<uint64_t> calls{0}, copied_calls{0};

bool change(int from, int to) noexcept {
    return gate.state.compare_exchange_strong(from, to, std::memory_order_seq_cst);
}

void set_state(int state) noexcept {
    gate.state.store(state, std::memory_order_seq_cst);
    if (!gate.sleepers.load(std::memory_order_seq_cst)) return;
    pthread_mutex_lock(&gate.mutex);
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.mutex);
}

template <class Condition>
void sleep_while(const Condition& condition) noexcept {
    pthread_mutex_lock(&gate.mutex);
    gate.sleepers.fetch_add(1, std::memory_order_seq_cst);
    while (condition()) pthread_cond_wait(&gate.changed, &gate.mutex);
    gate.sleepers.fetch_sub(1, std::memory_order_seq_cst);
    pthread_mutex_unlock(&gate.mutex);
}

// Whoever else sets the library's threads (threadpoolctl) limits ours, too.
int allowed(int threads) noexcept {
    int limit = library.most_threads;
    if (gate.found != library.first_threads && gate.found < limit) limit = gate.found;
    return threads < limit ? threads : limit;
}

// The first one in, with state -1.
int set_threads(int threads) noexcept {
    if (!library.set_threads) return threads;
    gate.found = library.get_threads();
    threads = allowed(threads);
    if (threads != gate.found) library.set_threads(threads);
    return threads;
}

// The last one out, with state -1. What another has set meanwhile stays.
void restore_threads(int threads) noexcept {
    if (library.set_threads && threads != gate.found && library.get_threads() == threads)
        library.set_threads(gate.found);
}

// The number of threads that it gets.
int enter(int threads, bool always_alone, bool* alone) noexcept {
    int64_t until = 0;
    for (int i = 0;; ++i) {
        bool const forks = gate.forks.load(std::memory_order_seq_cst) != 0;
        int const state = gate.state.load(std::memory_order_relaxed);
        bool const together = threads == 1 && !always_alone;
        if (!forks && state == 0 && change(0, -1)) {
            threads = set_threads(threads);
            *alone = threads > 1 || always_alone;
            if (!*alone) set_state(1);
            return threads;
        }
        if (!forks && together && state > 0 && change(state, state + 1)) {
            *alone = false;
            return 1;
        }
        if (!forks && !together && state > 0) {
            int64_t const time = now_ns();
            if (!until) until = time + patience_ns;
            if (time < until) {
                sched_yield();
            } else if (always_alone) {
                sleep_while([] { return gate.state.load(std::memory_order_seq_cst) != 0; });
            } else {
                threads = 1;
            }
        } else if (i < spins) {
            spin_pause();
        } else {
            sleep_while([] {
                return gate.state.load(std::memory_order_seq_cst) < 0 ||
                       gate.forks.load(std::memory_order_seq_cst) != 0;
            });
            i = 0;
        }
    }
}

void leave(int threads, bool alone) noexcept {
    if (!alone) {
        int state = gate.state.load(std::memory_order_relaxed);
        while (!gate.state.compare_exchange_weak(state, state == 1 ? -1 : state - 1,
                                                 std::memory_order_seq_cst)) {
        }
        if (state != 1) return;
    }
    restore_threads(threads);
    set_state(0);
}

// Registered after the library's own handlers, so that ours come before them: OpenBLAS ends its
// threads without asking whether they work.
void before_fork() noexcept {
    gate.forks.fetch_add(1, std::memory_order_seq_cst);
    sleep_while([] { return !change(0, -1); });
}
void after_fork_parent() noexcept {
    gate.forks.fetch_sub(1, std::memory_order_seq_cst);
    set_state(0);
}
void after_fork_child() noexcept {
    pthread_mutex_t const mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t const changed = PTHREAD_COND_INITIALIZER;
    gate.mutex = mutex;
    gate.changed = changed;
    gate.forks.store(0, std::memory_order_relaxed);
    gate.sleepers.store(0, std::memory_order_relaxed);
    gate.state.store(0, std::memory_order_seq_cst);
}

// Before the library's own code for the end of the process, which ends its threads and frees their
// memory: waits for the calls in flight, and lets nobody in any more.
void at_exit() { before_fork(); }

// ---- loading

pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;
bool tried;
char chosen[1024];
char failure[512];
std::atomic<const Blas*> loaded{nullptr};

// Whether the dotted version `text` comes before that one.
bool older(const char* text, const long (&than)[4]) noexcept {
    for (long const wanted : than) {
        char* end;
        long const number = std::strtol(text, &end, 10);
        if (number != wanted) return number < wanted;
        text = *end == '.' ? end + 1 : end;
    }
    return false;
}

// What OpenBLAS says of itself.
void ask_openblas(Library& l, const NameScheme& scheme) noexcept {
    char* (*config)();
    char* (*core)();
    int (*parallel)();
    find_as(&config, l, scheme, "get_config");
    find_as(&core, l, scheme, "get_corename");
    find_as(&parallel, l, scheme, "get_parallel");
    find_as(&l.get_threads, l, scheme, "get_num_threads");
    find_as(&l.set_threads, l, scheme, "set_num_threads");
    if (!config || !parallel || !l.get_threads || !l.set_threads) {
        l.get_threads = nullptr;
        l.set_threads = nullptr;
        return;
    }
    Blas& b = l.blas;
    b.name = "OpenBLAS";
    copy_text(b.config, config());
    for (size_t n = std::strlen(b.config); n && b.config[n - 1] == ' ';) b.config[--n] = 0;
    if (const char* const version = std::strpbrk(b.config, "0123456789"))
        copy_text(b.version, version, std::strcspn(version, " "));
    if (core) copy_text(b.architecture, core());
    b.ilp64 |= std::strstr(b.config, "USE64BITINT") != nullptr;
    int const kind = parallel();
    b.layer = kind == 0 ? "disabled" : kind == 1 ? "pthreads" : "openmp";
    // OpenMathLib/OpenBLAS 5836: products by several threads of each of several callers.
    constexpr long mended[4] = {0, 3, 33, 112};
    b.races = kind == 0 || older(b.version, mended);
    l.first_threads = l.get_threads();
    const char* const limit = std::getenv("OPENBLAS_NUM_THREADS");
    if (limit && std::strtol(limit, nullptr, 10) > 0) l.most_threads = l.first_threads;
}

bool find_routines(Library& l, const NameScheme& s) noexcept {
    for (int r = 0; r < n_routines; ++r)
        for (int t = 0; t < n_types; ++t) {
            l.routines[r][t] = find(l.handle, s, "cblas_", names[r][t]);
            if (!l.routines[r][t]) return false;
        }
    return true;
}

void* open_library(const char* name) noexcept {
    if (std::strchr(name, '/')) return dlopen(name, RTLD_NOW | RTLD_LOCAL);
#if defined(__APPLE__)
    constexpr const char* forms[] = {"lib%s.dylib", "%s"};
#else
    constexpr const char* forms[] = {"lib%s.so", "lib%s.so.0", "lib%s.so.3", "%s"};
#endif
    for (const char* const form : forms) {
        char file[sizeof chosen + 16];
        std::snprintf(file, sizeof file, form, name);
        if (void* const handle = dlopen(file, RTLD_NOW | RTLD_LOCAL)) return handle;
    }
    return nullptr;
}

bool load(Library& l) noexcept {
    if (!*chosen) {
        copy_text(failure, "none was chosen");
        return false;
    }
    l.handle = open_library(chosen);
    if (!l.handle) {
        const char* const error = dlerror();
        copy_text(failure, error ? error : "it cannot be loaded");
        return false;
    }
    for (const NameScheme& s : name_schemes) {
        if (!find_routines(l, s)) continue;
        l.blas = {"BLAS", "", "", "", "", s.prefix, s.suffix, "unknown", s.ilp64, false};
        l.most_threads = INT_MAX;
        Dl_info info;
        copy_text(l.blas.file,
                  dladdr(l.routines[0][0], &info) && info.dli_fname ? info.dli_fname : chosen);
        ask_openblas(l, s);
        if (!l.set_threads && std::strstr(l.blas.file, "Accelerate")) l.blas.name = "Accelerate";
        pthread_atfork(before_fork, after_fork_parent, after_fork_child);
        std::atexit(at_exit);
        return true;
    }
    std::snprintf(failure, sizeof failure, "%.400s has no cblas_sgemm or one of its like", chosen);
    dlclose(l.handle);
    return false;
}

// ---- calls

constexpr int row_major = 101, column_major = 102, as_is = 111, transposed = 112, upper = 121;

template <class T>
constexpr bool is_complex = !std::is_floating_point_v<T>;

// A scalar as BLAS takes it: complex ones by address.
template <class T>
using Scalar = std::conditional_t<is_complex<T>, const void*, T>;
template <class T>
Scalar<T> scalar(const T& value) noexcept {
    if constexpr (is_complex<T>)
        return &value;
    else
        return value;
}
template <class T>
T as(double value) noexcept {
    if constexpr (is_complex<T>)
        return T(static_cast<typename T::value_type>(value));
    else
        return static_cast<T>(value);
}

template <class T>
constexpr BlasType type_of = std::is_same_v<T, float>    ? BlasType::float32
                             : std::is_same_v<T, double> ? BlasType::float64
                             : sizeof(T) == 8            ? BlasType::complex64
                                                         : BlasType::complex128;

template <class T, class R, class... Arguments>
R call(Routine r, Arguments... arguments) noexcept {
    auto* const function =
        reinterpret_cast<R (*)(Arguments...)>(library.routines[r][static_cast<int>(type_of<T>)]);
    return function(arguments...);
}

// body.operator()<T, Int>() for the type and the library's integers, if they hold the numbers.
template <class Body, class... Numbers>
bool with_types(BlasType t, const Body& body, Numbers... numbers) noexcept {
    auto typed = [&]<class Int>() {
        switch (t) {
            case BlasType::float32:
                body.template operator()<float, Int>();
                break;
            case BlasType::float64:
                body.template operator()<double, Int>();
                break;
            case BlasType::complex64:
                body.template operator()<std::complex<float>, Int>();
                break;
            case BlasType::complex128:
                body.template operator()<std::complex<double>, Int>();
                break;
        }
    };
    if (library.blas.ilp64) {
        typed.template operator()<int64_t>();
        return true;
    }
    if (((numbers > INT32_MAX) || ...)) return false;
    typed.template operator()<int32_t>();
    return true;
}

int order_of(const BlasMatrix& m) noexcept { return m.transposed ? column_major : row_major; }
// How `m` is to be read where matrices are stored as in `order`.
int reading(const BlasMatrix& m, int order) noexcept {
    return order_of(m) == order ? as_is : transposed;
}

// Copies the upper triangle to the lower one, in squares that the cache holds.
template <class T>
void mirror(T* c, int64_t n, int64_t leading) noexcept {
    constexpr int64_t side = 32;
    for (int64_t i0 = 0; i0 < n; i0 += side)
        for (int64_t j0 = 0; j0 <= i0; j0 += side)
            for (int64_t i = i0; i < n && i < i0 + side; ++i)
                for (int64_t j = j0; j < i && j < j0 + side; ++j)
                    c[i * leading + j] = c[j * leading + i];
}

}  // namespace

void choose_blas(const char* name) noexcept { copy_text(chosen, name ? name : ""); }

const char* chosen_blas() noexcept { return chosen; }

const Blas* loaded_blas() noexcept { return loaded.load(std::memory_order_acquire); }

const Blas* blas() noexcept {
    if (const Blas* const b = loaded_blas()) [[likely]]
        return b;
    pthread_mutex_lock(&loading);
    if (!tried) {
        tried = true;
        if (load(library)) loaded.store(&library.blas, std::memory_order_release);
    }
    pthread_mutex_unlock(&loading);
    return loaded_blas();
}

const char* blas_failure() noexcept {
    pthread_mutex_lock(&loading);
    const char* const text = failure;
    pthread_mutex_unlock(&loading);
    return text;
}

int blas_threads(int threads) noexcept {
    if (!loaded_blas() || !library.set_threads) return threads;
    int const set = library.get_threads();
    int limit = library.most_threads;
    if (gate.state.load(std::memory_order_relaxed) == 0 && set != library.first_threads &&
        set < limit)
        limit = set;
    return threads < limit ? threads : limit;
}

bool blas_matrix(char* data, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t row_stride,
                 ptrdiff_t column_stride, BlasType t, BlasMatrix* out) noexcept {
    ptrdiff_t const item = item_bytes(t);
    ptrdiff_t const part = t == BlasType::complex64 ? 4 : item < 8 ? item : 8;
    if (reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(part)) return false;
    // Of one row or column the stride means nothing, nor do those of an empty matrix.
    auto fits = [&](ptrdiff_t outer, ptrdiff_t inner, ptrdiff_t outer_stride,
                    ptrdiff_t inner_stride, bool transpose) {
        ptrdiff_t const least = inner > 1 ? inner : 1;
        if (inner > 1 && inner_stride != item) return false;
        if (outer > 1 && inner > 0 && (outer_stride % item || outer_stride / item < least))
            return false;
        *out = {data, outer > 1 && inner > 0 ? outer_stride / item : least, transpose};
        return true;
    };
    return fits(rows, columns, row_stride, column_stride, false) ||
           fits(columns, rows, column_stride, row_stride, true);
}

bool blas_vector(char* data, ptrdiff_t n, ptrdiff_t stride, BlasType t, BlasVector* out) noexcept {
    // A column, each row of it one element.
    BlasMatrix m;
    if (!blas_matrix(data, n, 1, stride, stride, t, &m)) return false;
    *out = {data, m.leading};
    return true;
}

BlasUse::BlasUse(const Blas& blas, int threads, bool copied) noexcept
    : blas_(blas), threads_(threads), alone_(false) {
    calls.fetch_add(1, std::memory_order_relaxed);
    if (copied) copied_calls.fetch_add(1, std::memory_order_relaxed);
    threads_ = enter(threads, blas.races, &alone_);
}

BlasUse::~BlasUse() { leave(threads_, alone_); }

BlasStats blas_stats() noexcept {
    return {calls.load(std::memory_order_relaxed), copied_calls.load(std::memory_order_relaxed)};
}

bool BlasUse::gemm(BlasType t, int64_t m, int64_t n, int64_t k, double alpha, const BlasMatrix& a,
                   const BlasMatrix& b, double beta, const BlasMatrix& c) const noexcept {
    int const order = order_of(c);
    auto body = [&]<class T, class Int>() {
        T const x = as<T>(alpha), y = as<T>(beta);
        call<T, void>(r_gemm, order, reading(a, order), reading(b, order), static_cast<Int>(m),
                      static_cast<Int>(n), static_cast<Int>(k), scalar(x),
                      static_cast<const void*>(a.data), static_cast<Int>(a.leading),
                      static_cast<const void*>(b.data), static_cast<Int>(b.leading), scalar(y),
                      static_cast<void*>(c.data), static_cast<Int>(c.leading));
    };
    return with_types(t, body, m, n, k, a.leading, b.leading, c.leading);
}

bool BlasUse::syrk(BlasType t, int64_t n, int64_t k, const BlasMatrix& a,
                   const BlasMatrix& c) const noexcept {
    auto body = [&]<class T, class Int>() {
        T const one = as<T>(1), zero = as<T>(0);
        call<T, void>(r_syrk, row_major, upper, reading(a, row_major), static_cast<Int>(n),
                      static_cast<Int>(k), scalar(one), static_cast<const void*>(a.data),
                      static_cast<Int>(a.leading), scalar(zero), static_cast<void*>(c.data),
                      static_cast<Int>(c.leading));
        mirror(reinterpret_cast<T*>(c.data), n, c.leading);
    };
    return with_types(t, body, n, k, a.leading, c.leading);
}

bool BlasUse::gemv(BlasType t, int64_t m, int64_t n, double alpha, const BlasMatrix& a,
                   const BlasVector& x, double beta, const BlasVector& y) const noexcept {
    auto body = [&]<class T, class Int>() {
        T const p = as<T>(alpha), q = as<T>(beta);
        call<T, void>(r_gemv, order_of(a), as_is, static_cast<Int>(m), static_cast<Int>(n),
                      scalar(p), static_cast<const void*>(a.data), static_cast<Int>(a.leading),
                      static_cast<const void*>(x.data), static_cast<Int>(x.step), scalar(q),
                      static_cast<void*>(y.data), static_cast<Int>(y.step));
    };
    return with_types(t, body, m, n, a.leading, x.step, y.step);
}

bool BlasUse::dot(BlasType t, int64_t n, const BlasVector& x, const BlasVector& y, bool conjugate,
                  void* out) const noexcept {
    Routine const r = conjugate ? r_dotc : r_dot;
    auto body = [&]<class T, class Int>() {
        T result;
        if constexpr (is_complex<T>)
            call<T, void>(r, static_cast<Int>(n), static_cast<const void*>(x.data),
                          static_cast<Int>(x.step), static_cast<const void*>(y.data),
                          static_cast<Int>(y.step), static_cast<void*>(&result));
        else
            result = call<T, T>(r, static_cast<Int>(n), static_cast<const void*>(x.data),
                                static_cast<Int>(x.step), static_cast<const void*>(y.data),
                                static_cast<Int>(y.step));
        std::memcpy(out, &result, sizeof result);
    };
    return with_types(t, body, n, x.step, y.step);
}

}  // namespace raptors
