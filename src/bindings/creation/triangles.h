// Matrices by their diagonals: diag, tri, tril, triu, fill_diagonal, and their indices.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(diag_native);  // which 1: diagflat
RAPTORS_NATIVE(tri_native);
RAPTORS_NATIVE(triangle_native);  // which 0: tril, 1: triu
RAPTORS_NATIVE(fill_diagonal_native);
RAPTORS_NATIVE(diag_indices_native);  // with an array: diag_indices_from
// which 0: tril, 1: triu; with an array: tril_indices_from
RAPTORS_NATIVE(triangle_indices_native);

}  // namespace raptors
