// A BLAS library behind one interface: found when it is first wanted, used by the threads that
// raptors allows it.
#pragma once
#include <cstddef>
#include <cstdint>

namespace raptors {

enum class BlasType : uint8_t { float32, float64, complex64, complex128 };
constexpr ptrdiff_t item_bytes(BlasType t) {
    return t == BlasType::float32 ? 4 : t == BlasType::complex128 ? 16 : 8;
}

// ---- the library

struct Blas {
    const char* name;  // "OpenBLAS", "Accelerate", or "BLAS" for one that does not say
    char version[32], config[192], architecture[32], file[1024];
    const char *prefix, *suffix;  // of its symbols
    const char* layer;  // what its threads are: "pthreads", "openmp", "disabled", "unknown"
    bool ilp64;         // extents may exceed 2^31 - 1
    // Products that several threads make at once come out wrong: a library's known fault, or no
    // locks at all. It is then used by one thread at a time.
    bool races;
};

// Which library blas() loads: a file, a name ("openblas"), or null for none. Before its first call.
void choose_blas(const char* library) noexcept;
const char* chosen_blas() noexcept;

// Loads the library at the first call, and says no more than nullptr if that fails. Concurrent
// first calls wait for each other; the first must not race with a fork (Python: hold the GIL).
const Blas* blas() noexcept;
const Blas* loaded_blas() noexcept;      // loads nothing
const char* blas_failure() noexcept;     // why blas() found none; "" if it has, or was not called
int blas_threads(int threads) noexcept;  // how many of `threads` a product gets; loads nothing

// ---- operands

// Rows `leading` elements apart, each without gaps; the columns, if it is transposed.
struct BlasMatrix {
    char* data;
    int64_t leading;
    bool transposed;
};
struct BlasVector {
    char* data;
    int64_t step;  // elements
};

// Whether BLAS takes the matrix where it lies, and how: strides in bytes, aligned, one of them the
// size of an element, the other a whole number of elements and no less than the extent it steps
// over.
bool blas_matrix(char* data, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t row_stride,
                 ptrdiff_t column_stride, BlasType t, BlasMatrix* out) noexcept;
bool blas_vector(char* data, ptrdiff_t n, ptrdiff_t stride, BlasType t, BlasVector* out) noexcept;

// ---- calls

// The time during which its creator, or chunks that it gives to the pool, call the library. With
// one thread others may use the library at the same time; with several this waits for its turn, or
// makes do with one thread where others keep the library. A fork waits for the end, so within it
// wait for nothing: no GIL, no second BlasUse. Chunks of the pool never make their own.
//
// A call returns false and does nothing if an extent or a step is too long for the library.
class BlasUse {
public:
    // `copied`: an operand had to be copied first, for the statistics.
    BlasUse(const Blas& blas, int threads, bool copied = false) noexcept;
    ~BlasUse();
    BlasUse(const BlasUse&) = delete;
    BlasUse& operator=(const BlasUse&) = delete;

    int threads() const noexcept { return threads_; }  // that a call gets
    // Whether chunks of the pool may call at the same time: with one thread, and a sound library.
    bool shareable() const noexcept { return threads_ == 1 && !blas_.races; }

    // c (m, n) = alpha * a (m, k) @ b (k, n) + beta * c. With beta 0 the old c is not read.
    bool gemm(BlasType t, int64_t m, int64_t n, int64_t k, double alpha, const BlasMatrix& a,
              const BlasMatrix& b, double beta, const BlasMatrix& c) const noexcept;
    // c (n, n) = a (n, k) @ a.T, both triangles: half the work of a product.
    bool syrk(BlasType t, int64_t n, int64_t k, const BlasMatrix& a,
              const BlasMatrix& c) const noexcept;
    // y (m) = alpha * a (m, n) @ x (n) + beta * y
    bool gemv(BlasType t, int64_t m, int64_t n, double alpha, const BlasMatrix& a,
              const BlasVector& x, double beta, const BlasVector& y) const noexcept;
    // *out (an element) = the sum of x * y, or of conj(x) * y
    bool dot(BlasType t, int64_t n, const BlasVector& x, const BlasVector& y, bool conjugate,
             void* out) const noexcept;

private:
    const Blas& blas_;
    int threads_;
    bool alone_;
};

struct BlasStats {
    uint64_t calls, copied;  // uses of the library; those for which an operand was copied
};
BlasStats blas_stats() noexcept;

}  // namespace raptors
