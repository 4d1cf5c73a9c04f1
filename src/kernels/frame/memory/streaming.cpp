#include "frame/memory/streaming.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#include <string.h>

#include <atomic>

#include "api/table.h"
#include "frame/memory/caching_allocator.h"
#include "frame/nest/axes.h"
#include "frame/threads/clock.h"
#include "frame/threads/processors.h"
#endif

namespace raptors {

#if defined(__x86_64__)
namespace {

constexpr ptrdiff_t piece = 4096;  // bytes
constexpr ptrdiff_t line = 64;

std::atomic<ptrdiff_t> chosen_from{0};  // 0: what is built in

// Of a bigger cache many cores have a part each.
ptrdiff_t built_in() noexcept {
    constexpr ptrdiff_t most = ptrdiff_t{64} << 20;
    ptrdiff_t const bytes = cache_sizes().l3 / 2 * 3;
    return bytes < most ? bytes : most;
}

// A piece of output to memory. Meanwhile the inputs of the next piece are fetched: reading and
// writing would otherwise take turns.
void store_past_caches(char* to, const char* from, const Block& next, int inputs,
                       int out_size) noexcept {
    ptrdiff_t step[max_operands];  // of an input, per line of output
    for (int i = 0; i < inputs; ++i) step[i] = next.inner[i] * (line / out_size);
    for (ptrdiff_t k = 0; k < piece / line; ++k) {
        for (int i = 0; i < inputs; ++i)
            if (step[i]) __builtin_prefetch(next.data[i] + k * step[i]);
        for (ptrdiff_t j = k * line; j < (k + 1) * line; j += 16)
            _mm_stream_si128(reinterpret_cast<__m128i*>(to + j),
                             _mm_load_si128(reinterpret_cast<const __m128i*>(from + j)));
    }
}

// One row; its output is contiguous, of elements that lie evenly in cache lines.
void stream_row(const Kernel& kernel, const Block& row) noexcept {
    int const out = kernel.inputs, operands = kernel.arguments(), out_size = kernel.size(out);
    alignas(line) char buffer[piece];
    Block part = row;
    auto advance = [&](ptrdiff_t n) {
        for (int i = 0; i < operands; ++i) part.data[i] += n * part.inner[i];
    };
    auto const off = static_cast<ptrdiff_t>(reinterpret_cast<uintptr_t>(row.data[out]) % line);
    ptrdiff_t head = off ? (line - off) / out_size : 0;  // up to the first whole line
    if (head > row.n) head = row.n;
    part.n = head;
    if (head) kernel(part);
    advance(head);
    ptrdiff_t left = row.n - head;
    for (ptrdiff_t const n = piece / out_size; left >= n; left -= n) {
        char* const to = part.data[out];
        part.n = n;
        part.data[out] = buffer;
        kernel(part);
        part.data[out] = to;
        advance(n);
        store_past_caches(to, buffer, part, out, out_size);
    }
    part.n = left;
    if (left) kernel(part);
}

}  // namespace

ptrdiff_t stream_from() noexcept {
    ptrdiff_t const bytes = chosen_from.load(std::memory_order_relaxed);
    return bytes ? bytes : built_in();
}
void set_stream_from(ptrdiff_t bytes) noexcept {
    chosen_from.store(bytes, std::memory_order_relaxed);
}

bool streams(const Kernel& kernel, const Block& block) noexcept {
    if (kernel.outputs != 1 || kernel.context) return false;
    int const out = kernel.inputs, operands = kernel.arguments(), out_size = kernel.size(out);
    ptrdiff_t width = 0;  // bytes of all operands per element
    for (int i = 0; i < operands; ++i) {
        ptrdiff_t const step = magnitude(block.inner[i]);
        // Row by row, a column-like operand would be fetched once for each element of a line.
        if (block.rows > 1 && block.outer[i] != 0 && magnitude(block.outer[i]) < step) return false;
        width += step < line ? step : line;
    }
    if (block.n * block.rows * width < stream_from() || block.inner[out] != out_size ||
        block.n < 2 * piece / out_size ||
        reinterpret_cast<uintptr_t>(block.data[out]) % static_cast<unsigned>(out_size) ||
        block.outer[out] % out_size)
        return false;
    for (int i = 0; i < out; ++i)
        if (block.data[i] == block.data[out]) return false;  // in place: the lines are read anyway
    return true;
}

void run_streaming(const Kernel& kernel, const Block& block) noexcept {
    Block row = block;
    row.rows = 1;
    for (ptrdiff_t r = 0; r < block.rows; ++r) {
        stream_row(kernel, row);
        for (int i = 0; i < kernel.arguments(); ++i) row.data[i] += block.outer[i];
    }
    _mm_sfence();
}

ptrdiff_t measure_stream_from(const Table& table) noexcept {
    constexpr ptrdiff_t least = ptrdiff_t{4} << 20, most = ptrdiff_t{128} << 20;
    constexpr int warm_up = 3, runs = 6, rounds = 2, float_size = 4;
    constexpr double better = 0.97;
    constexpr auto f32 = static_cast<int>(DType::float32);
    Kernel const add = kernel_of(table, Op::add, DType::float32);
    ReduceFn const sum = table.reduce[static_cast<int>(Combine::add)][f32];
    ptrdiff_t from = 0;
    for (ptrdiff_t bytes = least; bytes <= most; bytes *= 2) {
        ptrdiff_t const each = bytes / 3 / piece * piece;
        char* const memory = block_new(static_cast<size_t>(3 * each));
        if (!memory) break;
        memset(memory, 0, static_cast<size_t>(3 * each));
        Block const block = {{memory, memory + each, memory + 2 * each},
                             {float_size, float_size, float_size},
                             {},
                             each / float_size,
                             1};
        // Each way several times on end: the first runs find the cache as the other way left it.
        int64_t shortest[2] = {INT64_MAX, INT64_MAX};  // plain, streaming
        for (int round = 0; round < 2 * rounds; ++round) {
            for (int run = 0; run < warm_up + runs; ++run) {
                int64_t const begin = now_ns();
                if (round % 2)
                    run_streaming(add, block);
                else
                    add(block);
                float total = 0;
                sum({block.data[2], reinterpret_cast<char*>(&total), block.n, float_size, 1, 0, 0});
                int64_t const taken = now_ns() - begin;
                if (run >= warm_up && taken < shortest[round % 2]) shortest[round % 2] = taken;
            }
        }
        block_delete(memory);
        bool const pays =
            static_cast<double>(shortest[1]) < better * static_cast<double>(shortest[0]);
        from = !pays ? 0 : from ? from : bytes;
    }
    return from ? from : built_in();
}
#else
ptrdiff_t stream_from() noexcept { return PTRDIFF_MAX; }
void set_stream_from(ptrdiff_t) noexcept {}
ptrdiff_t measure_stream_from(const Table&) noexcept { return PTRDIFF_MAX; }
bool streams(const Kernel&, const Block&) noexcept { return false; }
void run_streaming(const Kernel& kernel, const Block& block) noexcept { kernel(block); }
#endif

}  // namespace raptors
