#include "natives.h"

#include <cstring>

#include "conversion.h"
#include "creation.h"
#include "elementwise.h"
#include "reductions.h"
#include "shaping.h"

namespace raptors {
namespace {

constexpr int id(Reduce what) { return static_cast<int>(what); }

const NativeRow functions[] = {
#define REDUCE(name, ...) {#name, reduce_native, id(Reduce::name), true},
#define ARGREDUCE(name, ...) {#name, reduce_native, id(Reduce::name), true},
#include "ops.def"
    {"amin", reduce_native, id(Reduce::min), true},
    {"amax", reduce_native, id(Reduce::max), true},
    {"mean", reduce_native, id(Reduce::mean), true},
    {"clip", clip_native, 1, true},
    {"where", where_native, 0, false},
    {"empty", empty_native, 0, false},
    {"zeros", zeros_native, 0, false},
    {"ones", ones_native, 0, false},
    {"asarray", asarray_native, 0, true},
    {"asanyarray", asarray_native, 0, true},
    {"ascontiguousarray", asarray_native, 1, true},
    {"copy", copy_native, 1, true},
    {"reshape", reshape_native, 1, true},
    {"transpose", transpose_native, 1, true},
};

const NativeRow methods[] = {
#define REDUCE(name, ...) {#name, reduce_native, id(Reduce::name), true},
#define ARGREDUCE(name, ...) {#name, reduce_native, id(Reduce::name), true},
#include "ops.def"
    {"mean", reduce_native, id(Reduce::mean), true},
    {"clip", clip_native, 0, true},
    {"copy", copy_native, 0, true},
    {"astype", astype_native, 0, true},
    {"reshape", reshape_native, 0, true},
    {"transpose", transpose_native, 0, true},
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
