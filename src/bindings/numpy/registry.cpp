#include "numpy/registry.h"

#include <cstring>

#include "creation/from_objects.h"
#include "creation/from_shape.h"
#include "creation/joining.h"
#include "creation/shaping.h"
#include "linalg/einsum.h"
#include "linalg/matrix_chain.h"
#include "linalg/norm.h"
#include "linalg/product.h"
#include "linalg/solve.h"
#include "linalg/tensordot.h"
#include "ops/composed.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "ops/statistics.h"

namespace raptors {
namespace {

template <class What>
constexpr int id(What what) {
    return static_cast<int>(what);
}

const NativeRow functions[] = {
#define REDUCE(name, ...) {#name, reduce_native, id(Reduce::name), true},
#define ARGREDUCE(name, ...) {#name, reduce_native, id(Reduce::name), true},
#include "tables/reductions.def"
    {"amin", reduce_native, id(Reduce::min), true},
    {"amax", reduce_native, id(Reduce::max), true},
    {"mean", reduce_native, id(Reduce::mean), true},
    {"var", variance_native, variance_function, true},
    {"std", variance_native, variance_function | variance_root, true},
    {"ptp", ptp_native, 0, true},
    {"array_equal", array_equal_native, 0, true},
    {"clip", clip_native, 1, true},
    {"where", where_native, 0, false},
    {"round", round_native, 0, true},
    {"around", round_native, 0, true},
    {"isclose", close_native, 0, true},
    {"allclose", close_native, 1, true},
    {"dot", dot_native, id(Contraction::dot), true},
    {"inner", dot_native, id(Contraction::inner), true},
    {"vdot", dot_native, id(Contraction::vdot), true},
    {"linalg.norm", norm_native, 0, true},
    {"linalg.inv", inv_native, 0, true},
    {"linalg.solve", solve_native, 0, true},
    {"linalg.det", det_native, 0, true},
    {"einsum", einsum_native, 0, false},
    {"tensordot", tensordot_native, 0, true},
    {"linalg.tensordot", tensordot_native, 1, true},
    {"outer", outer_native, 0, true},
    {"linalg.outer", outer_native, 1, true},
    {"kron", kron_native, 0, true},
    {"linalg.matmul", linalg_product_native, id(Contraction::matmul), true},
    {"linalg.vecdot", linalg_product_native, id(Contraction::vecdot), true},
    {"linalg.matrix_power", matrix_power_native, 0, true},
    {"linalg.multi_dot", multi_dot_native, 0, false},
    {"empty", empty_native, 0, false},
    {"zeros", zeros_native, 0, false},
    {"ones", ones_native, 0, false},
    {"full", full_native, 0, false},
    {"empty_like", like_native, id(Filling::nothing), true},
    {"zeros_like", like_native, id(Filling::zeros), true},
    {"ones_like", like_native, id(Filling::ones), true},
    {"full_like", like_native, id(Filling::value), true},
    {"eye", eye_native, 0, false},
    {"identity", eye_native, 1, false},
    {"arange", arange_native, 0, false},
    {"linspace", linspace_native, 0, false},
    {"array", array_native, 0, true},
    {"asarray", asarray_native, 0, true},
    {"asanyarray", asarray_native, 0, true},
    {"ascontiguousarray", asarray_native, 1, true},
    {"copy", copy_native, 1, true},
    {"frombuffer", frombuffer_native, 0, false},
    {"fromiter", fromiter_native, 0, false},
    {"reshape", reshape_native, 1, true},
    {"transpose", transpose_native, 1, true},
    {"permute_dims", transpose_native, 1, true},
    {"swapaxes", swapaxes_native, 1, true},
    {"squeeze", squeeze_native, 1, true},
    {"ravel", ravel_native, 1, true},
    {"expand_dims", expand_dims_native, 1, true},
    {"broadcast_to", broadcast_to_native, 1, true},
    {"concatenate", concatenate_native, 0, false},
    {"concat", concatenate_native, 0, false},
    {"stack", stack_native, 0, false},
    {"vstack", stack_axis_native, 0, false},
    {"hstack", stack_axis_native, 1, false},
};

const NativeRow methods[] = {
#define REDUCE(name, ...) {#name, reduce_native, id(Reduce::name), true},
#define ARGREDUCE(name, ...) {#name, reduce_native, id(Reduce::name), true},
#include "tables/reductions.def"
    {"mean", reduce_native, id(Reduce::mean), true},
    {"var", variance_native, 0, true},
    {"std", variance_native, variance_root, true},
    {"clip", clip_native, 0, true},
    {"round", round_native, 0, true},
    {"dot", dot_native, id(Contraction::dot), true},
    {"copy", copy_native, 0, true},
    {"astype", astype_native, 0, true},
    {"reshape", reshape_native, 0, true},
    {"transpose", transpose_native, 0, true},
    {"swapaxes", swapaxes_native, 0, true},
    {"squeeze", squeeze_native, 0, true},
    {"ravel", ravel_native, 0, true},
    {"flatten", flatten_native, 0, true},
};

template <size_t N>
const NativeRow* find(const NativeRow (&rows)[N], const char* name) {
    for (const NativeRow& row : rows)
        if (std::strcmp(row.name, name) == 0) return &row;
    return nullptr;
}

}  // namespace

const NativeRow* find_native_function(const char* name) { return find(functions, name); }
const NativeRow* find_native_method(const char* name) { return find(methods, name); }

}  // namespace raptors
