// The kernels of one ISA.
#pragma once
#include "api/elementwise.h"
#include "api/gemm.h"
#include "api/move.h"
#include "api/reduce.h"
#include "api/scan.h"
#include "api/search.h"
#include "api/solve.h"

namespace raptors {

struct Table : ElementwiseTable,
               ReduceTable,
               ScanTable,
               MoveTable,
               GemmTable,
               SearchTable,
               SolveTable {};

}  // namespace raptors
