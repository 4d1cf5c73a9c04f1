// Which loop an operation takes: asked of NumPy once per operation and dtypes.
#pragma once
#include "api/elementwise.h"
#include "python/operand.h"

namespace raptors {

struct Resolution {
    DType loop;  // no_dtype: NumPy's business
    PyArray_Descr* result;
};

// dtype_num: that of dtype=, or -1.
Resolution resolve(Op op, const Operand* x, int nin, int dtype_num);

void init_promotion();

}  // namespace raptors
