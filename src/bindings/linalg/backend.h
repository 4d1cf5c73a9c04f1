// Who multiplies: our kernels or the BLAS library.
#pragma once
#include "frame/run/gemm.h"
#include "linalg/blas_library.h"
#include "runtime/call_log.h"

namespace raptors {

// How the two did the first long products of about one length: the best of so many.
struct Lesson {
    double best[2];  // nanoseconds a multiplication: ours, the library
    int products[2];
    bool learnt;
};

struct Backend {
    const Blas* library;  // nullptr: our kernels
    Offload offload;      // says so, too
    Lesson* lesson;       // not nullptr: how long this product takes teaches who is faster
};

// Who is to do this product of floats, which takes our kernels `ns` nanoseconds: what the policy of
// the context wants; under "auto", who is faster by the figures of this machine (ours are, where
// neither threads nor BLAS are worth a thought). Without figures the first long products are done
// by one and by the other. Without a library, check for an error: a warning of its loading that is
// one.
Backend backend_for(DType t, const Product& p, double ns);

// That product took so long.
void learn(const Backend& backend, double ns);

// Whether the policy of the context wants BLAS wherever it can.
bool wants_blas();

// Multiplies where the operands lie. False: nothing was done, the layout is none of BLAS's.
bool multiply(const Blas& library, DType t, const Product& p, int threads) noexcept;

void init_backend();  // reads RAPTORS_BACKEND; raises on bad values

// The policy of the context; of all contexts without their own; of this context until it leaves.
const char* backend_policy();
void set_backend_policy(const std::string& name);
pybind11::object enter_backend_policy(const std::string& name);
void leave_backend_policy(const pybind11::object& token);

// From how many multiplications on "auto" takes BLAS: by float64 (`wide`) or float32, one thread or
// several. To set: 0 or less is never.
double multiplications_for_blas(bool wide, bool several);
void set_multiplications_for_blas(bool wide, bool several, double multiplications);
// Those figures that this process's own products have taught: (wide, several, multiplications).
pybind11::list learnt_blas_from();

}  // namespace raptors
