// How many threads a call may use, and long calls without the GIL.
#pragma once
#include "pybind.h"

#include "frame/parallel.h"

namespace raptors {

// Calls of fewer elements are not looked at: the calling thread does them, holding the GIL.
extern npy_intp long_from;

constexpr double cast_cost = 0.15;  // nanoseconds for an element that is converted on the way

// How a call of n elements that cost one thread `ns` each is done.
struct Plan {
    Share share;
    bool release;  // whether others may have the GIL meanwhile
};
Plan plan_long(npy_intp n, double ns);

// PyEval_RestoreThread. Where the interpreter has ended meanwhile, that would end the thread and
// run the destructors of all that is around, without the GIL: it waits for the end of the process
// instead, as Python 3.14 has it.
void take_gil(PyThreadState* state);

// body(share) by the threads that are worth it, without the GIL where it takes long enough. Nothing
// in `body` may touch a Python object.
template <class Body>
inline void run_long(npy_intp n, double ns, const Body& body) {
    if (n < long_from) [[likely]] {
        body(unshared);
        return;
    }
    Plan const plan = plan_long(n, ns);
    if (!plan.release) {
        body(plan.share);
        return;
    }
    PyThreadState* const state = PyEval_SaveThread();
    body(plan.share);
    take_gil(state);
}

// Reads RAPTORS_NUM_THREADS, OMP_NUM_THREADS, RAPTORS_MIN_PARALLEL and RAPTORS_FAIL_THREAD; raises
// on bad values of the first and the third.
void register_threads(pybind11::module_& m);

}  // namespace raptors
