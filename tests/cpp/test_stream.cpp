// Long results written past the caches: the same bytes as the kernel's own, and nothing around
// them.
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "api/table.h"
#include "check.h"
#include "dispatch.h"
#include "frame/memory/streaming.h"

using namespace raptors;

namespace {

constexpr char canary = 0x5a;
constexpr ptrdiff_t margin = 256;

struct Case {
    Op op;
    DType dtype;
    int in_size, out_size;
    int inputs;
    bool scalar;       // the last input is one element
    ptrdiff_t offset;  // of the output, in bytes
    ptrdiff_t rows;
    ptrdiff_t gap;  // elements between rows
};

void run_long(const Kernel& kernel, const Block& block) {
    if (streams(kernel, block))
        run_streaming(kernel, block);
    else
        kernel(block);
}

// Runs the case twice, by the kernel alone and as a long call, and compares the whole output
// memory.
void compare(const Case& c, ptrdiff_t bytes) {
    Kernel const kernel = kernel_of(*table(best_isa()), c.op, c.dtype);
    ptrdiff_t const width = c.in_size * (c.scalar ? c.inputs - 1 : c.inputs) + c.out_size;
    ptrdiff_t const n = bytes / width / c.rows + 37, pitch = n + c.gap;
    ptrdiff_t const in_bytes = pitch * c.rows * c.in_size;
    ptrdiff_t const out_bytes = pitch * c.rows * c.out_size + c.offset + 2 * margin;
    char* in[2];
    for (int i = 0; i < 2; ++i) {
        in[i] = static_cast<char*>(std::malloc(static_cast<size_t>(in_bytes)));
        for (ptrdiff_t k = 0; k < in_bytes; ++k) in[i][k] = static_cast<char>(k * (7 + i) % 63);
    }
    char* out[2];
    for (char*& o : out) {
        o = static_cast<char*>(std::aligned_alloc(64, static_cast<size_t>((out_bytes + 63) & ~63)));
        std::memset(o, canary, static_cast<size_t>(out_bytes));
    }
    for (int way = 0; way < 2; ++way) {
        Block b{};
        for (int i = 0; i < c.inputs; ++i) {
            bool const one = c.scalar && i == c.inputs - 1;
            b.data[i] = in[i];
            b.inner[i] = one ? 0 : c.in_size;
            b.outer[i] = one ? 0 : pitch * c.in_size;
        }
        b.data[c.inputs] = out[way] + margin + c.offset;
        b.inner[c.inputs] = c.out_size;
        b.outer[c.inputs] = pitch * c.out_size;
        b.n = n;
        b.rows = c.rows;
        if (way)
            run_long(kernel, b);
        else
            kernel(b);
    }
    CHECK_MESSAGE(std::memcmp(out[0], out[1], static_cast<size_t>(out_bytes)) == 0,
                  "op %d dtype %d offset %td rows %td gap %td bytes %td", static_cast<int>(c.op),
                  static_cast<int>(c.dtype), c.offset, c.rows, c.gap, bytes);
    for (char* p : {in[0], in[1], out[0], out[1]}) std::free(p);
}

void in_place(ptrdiff_t bytes) {
    Kernel const kernel = kernel_of(*table(best_isa()), Op::add, DType::float64);
    ptrdiff_t const n = bytes / 24 + 5;
    auto* x = static_cast<double*>(std::malloc(static_cast<size_t>(n) * sizeof(double)));
    for (ptrdiff_t i = 0; i < n; ++i) x[i] = static_cast<double>(i);
    auto* const p = reinterpret_cast<char*>(x);
    run_long(kernel, {{p, p, p}, {8, 8, 8}, {}, n, 1});
    long wrong = 0;
    for (ptrdiff_t i = 0; i < n; ++i) wrong += x[i] != 2.0 * static_cast<double>(i);
    CHECK(wrong == 0);
    std::free(x);
}

// What is built in, what is measured, and what was set.
void check_threshold() {
    ptrdiff_t const built_in = stream_from();
    CHECK(built_in > 0);
    ptrdiff_t const measured = measure_stream_from(*table(best_isa()));
    CHECK(measured == built_in || (measured > 0 && measured <= ptrdiff_t{128} << 20));
    CHECK(stream_from() == built_in);  // measuring sets nothing
    if (built_in == PTRDIFF_MAX) return;
    ptrdiff_t const from = ptrdiff_t{8} << 20;
    set_stream_from(from);
    CHECK(stream_from() == from);
    Kernel const add = kernel_of(*table(best_isa()), Op::add, DType::float64);
    alignas(64) static char byte[64];
    auto call = [&](ptrdiff_t n) {
        return Block{{byte, byte + 8, byte + 16}, {8, 8, 8}, {}, n, 1};
    };
    CHECK(!streams(add, call(from / 24)) && streams(add, call(from / 24 + 1)));
    // Of elements far apart a line each is fetched, however far; rows of columns would fetch each
    // line many times.
    Block apart = call(1024);
    apart.inner[0] = ptrdiff_t{1} << 20;
    CHECK(!streams(add, apart));
    Block columns = call(from / 24 + 1);
    columns.rows = 2;
    CHECK(streams(add, columns));
    columns.inner[0] = 16;
    columns.outer[0] = 8;
    CHECK(!streams(add, columns));
}

}  // namespace

int main() {
    check_threshold();
    ptrdiff_t const from = ptrdiff_t{8} << 20;
    set_stream_from(from);
    for (ptrdiff_t const bytes : {ptrdiff_t{1} << 16, from}) {
        for (ptrdiff_t const offset : {0, 8, 24, 40, 3})
            for (bool const scalar : {false, true})
                compare({Op::add, DType::float64, 8, 8, 2, scalar, offset, 1, 0}, bytes);
        compare({Op::multiply, DType::float32, 4, 4, 2, false, 4, 1, 0}, bytes);
        compare({Op::less, DType::float32, 4, 1, 2, false, 5, 1, 0}, bytes);
        compare({Op::negative, DType::int16, 2, 2, 1, false, 2, 1, 0}, bytes);
        compare({Op::add, DType::float64, 8, 8, 2, false, 8, 3, 0}, bytes);
        compare({Op::add, DType::float64, 8, 8, 2, false, 16, 50, 11}, bytes);
        compare({Op::square, DType::float32, 4, 4, 1, false, 0, 7, 5}, bytes);
        in_place(bytes);
    }
    return checks.report("stream");
}
