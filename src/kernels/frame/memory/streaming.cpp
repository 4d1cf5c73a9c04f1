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

// Bytes of all operands in a piece, and how far behind the next piece inputs are fetched. Measured
// on Zen 4 for 128 MiB of float64, in ms, x * 2 and x + y, against 8.6 and 12.0 without streaming:
// 4096 of each operand, nothing more ahead, 5.7 and 13.3, since the pieces share the sets of L1;
// 1024 of each, 6.0 and 9.8, and 2048 ahead 5.6 and 9.3; 2048 of each, and 2048 ahead, 5.3
// and 12.0.
constexpr ptrdiff_t in_turn = 4096, ahead = 2048;
constexpr ptrdiff_t line = 64;
constexpr ptrdiff_t largest_buffer = in_turn;

std::atomic<ptrdiff_t> chosen_from{0};  // 0: what is built in

// Of a bigger cache many cores have a part each.
ptrdiff_t built_in() noexcept {
    constexpr ptrdiff_t most = ptrdiff_t{64} << 20;
    ptrdiff_t const bytes = cache_sizes().l3 * 2;
    return bytes < most ? bytes : most;
}

// Whether an input is one of those before it.
bool is_again(const Block& block, int input) noexcept {
    for (int i = 0; i < input; ++i)
        if (block.data[i] == block.data[input] && block.inner[i] == block.inner[input]) return true;
    return false;
}

// Elements of a piece: whole lines of output.
ptrdiff_t piece_of(const Kernel& kernel, const Block& block) noexcept {
    ptrdiff_t width = kernel.size(kernel.inputs);
    for (int i = 0; i < kernel.inputs; ++i)
        if (block.inner[i] && !is_again(block, i)) width += kernel.size(i);
    ptrdiff_t const n = in_turn / width / line * line;
    return n ? n : line;
}

// What is fetched for each line of output: one line after the other of each input.
struct Fetches {
    static constexpr int most = 8;
    int n = 0;
    const char* from[most];
    ptrdiff_t step[most];

    Fetches(const Block& next, int inputs, int out_size) noexcept {
        for (int i = 0; i < inputs; ++i) {
            ptrdiff_t const by = next.inner[i] * (line / out_size), sign = by < 0 ? -1 : 1;
            if (is_again(next, i)) continue;
            for (ptrdiff_t j = 0; j < magnitude(by) && n < most; j += line) {
                from[n] = next.data[i] + sign * (ahead + j);
                step[n++] = by;
            }
        }
    }
};

// A piece of output to memory. Meanwhile the inputs of a later piece are fetched, `ahead` of the
// next one: reading and writing would otherwise take turns.
void store_past_caches(char* to, const char* from, ptrdiff_t bytes, Fetches fetches) noexcept {
    for (ptrdiff_t k = 0; k < bytes; k += line) {
        for (int i = 0; i < fetches.n; ++i) {
            __builtin_prefetch(fetches.from[i]);
            fetches.from[i] += fetches.step[i];
        }
        for (ptrdiff_t j = k; j < k + line; j += 16)
            _mm_stream_si128(reinterpret_cast<__m128i*>(to + j),
                             _mm_load_si128(reinterpret_cast<const __m128i*>(from + j)));
    }
}

// One row; its output is contiguous, of elements that lie evenly in cache lines.
void stream_row(const Kernel& kernel, const Block& row) noexcept {
    int const out = kernel.inputs, operands = kernel.arguments(), out_size = kernel.size(out);
    alignas(line) char buffer[largest_buffer];
    ptrdiff_t const piece = piece_of(kernel, row);
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
    for (; left >= piece; left -= piece) {
        char* const to = part.data[out];
        part.n = piece;
        part.data[out] = buffer;
        kernel(part);
        part.data[out] = to;
        advance(piece);
        store_past_caches(to, buffer, piece * out_size, {part, out, out_size});
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
        if (i < out && is_again(block, i)) continue;
        width += step < line ? step : line;
        // A small part of the traffic.
        if (i < out && kernel.size(i) > 2 * out_size) return false;
    }
    if (block.n * block.rows * width < stream_from() || block.inner[out] != out_size ||
        block.n * out_size < 2 * in_turn ||
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

void copy_streaming(char* to, const char* from, ptrdiff_t bytes) noexcept {
    auto const off = static_cast<ptrdiff_t>(reinterpret_cast<uintptr_t>(to) % line);
    ptrdiff_t const head = off ? (bytes < line - off ? bytes : line - off) : 0;
    memcpy(to, from, static_cast<size_t>(head));
    ptrdiff_t i = head;
    for (; i + line <= bytes; i += line) {
        __builtin_prefetch(from + i + ahead);
        for (ptrdiff_t j = i; j < i + line; j += 16)
            _mm_stream_si128(reinterpret_cast<__m128i*>(to + j),
                             _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + j)));
    }
    memcpy(to + i, from + i, static_cast<size_t>(bytes - i));
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
        ptrdiff_t const each = bytes / 3 / in_turn * in_turn;
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
void copy_streaming(char* to, const char* from, ptrdiff_t bytes) noexcept {
    __builtin_memcpy(to, from, static_cast<size_t>(bytes));
}
#endif

}  // namespace raptors
