// Temporaries of expressions: in `a * b + c` the result of `a * b` is dead once the sum is taken,
// and the sum can be written over it.
#pragma once
#include "python/array.h"

namespace raptors {

// Shorter arrays gain nothing: they stay in the caches, and the proof below has its price. NumPy's
// limit, too.
constexpr npy_intp shortest_temporary = 256 << 10;  // bytes

// Whether `o`, an operand of the operator slot that is running, is an array that nobody can look at
// any more: the interpreter holds the only reference, on its stack, for this very operator. See
// temporaries.cpp for why this is certain. False wherever it cannot be proved.
bool is_temporary(PyObject* o);

struct TemporaryStats {
    uint64_t reused;   // operands that took the result
    uint64_t refused;  // operands with one reference for which the proof failed
};
extern TemporaryStats temporary_stats;

}  // namespace raptors
