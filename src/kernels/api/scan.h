// Scans: scans.def, read at compile time and as data.
#pragma once
#include "api/types.h"

namespace raptors {

enum class Op : uint8_t;

// By the row of ops.def that combines, in the order of scans.def.
enum class Scan : uint8_t {
#define SCAN(combine, ...) combine,
#include "tables/scans.def"
    count
};
constexpr int n_scans = static_cast<int>(Scan::count);

// `rows` runs of n > 0 elements: out[0] = in[0], out[i] = out[i - 1] (op) in[i]. Strides in bytes,
// of any sign; pointers need no alignment. The output may be the input (same pointer, same strides)
// but must not overlap it otherwise.
struct ScanBlock {
    const char* in;
    char* out;
    ptrdiff_t n;
    ptrdiff_t in_stride, out_stride;  // bytes from one element of a run to the next
    ptrdiff_t rows;
    ptrdiff_t in_row, out_row;  // bytes from one run's first element to the next run's
    bool continues = false;     // out[-1] holds what comes before: out[0] = out[-1] (op) in[0]
};
using ScanFn = void (*)(const ScanBlock&) noexcept;

struct ScanTable {
    ScanFn scan[n_scans][n_dtypes];  // by the dtype that is scanned and stored
};

struct ScanInfo {
    Op combine;
    uint32_t types;    // of arrays
    uint32_t kernels;  // of kernels
    const char* doc;
};
extern const ScanInfo scan_info[n_scans];

// The dtype in which an array of dtype t is scanned.
DType accumulator(Scan scan, DType t) noexcept;

// Functions and methods that are scans.
struct CumulativeInfo {
    const char* name;
    Scan scan;
};
extern const CumulativeInfo cumulative_info[];
extern const int n_cumulative;

}  // namespace raptors
