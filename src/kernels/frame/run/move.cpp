#include "frame/run/move.h"

#include <cstring>

#include "frame/memory/streaming.h"
#include "frame/run/blocks.h"
#include "frame/run/iterate.h"

namespace raptors {
namespace {

// `size` stays the kernel's context.
Kernel copy_of(const Table& table, const ptrdiff_t& size) noexcept {
    constexpr DType of_size[] = {DType::uint8, DType::uint16, DType::uint32, DType::uint64,
                                 DType::complex128};
    bool const has_kernel = size <= ptrdiff_t{sizeof(Element)} && (size & (size - 1)) == 0;
    if (!has_kernel) return {table.copy_sized, &size};
    int const i = __builtin_ctzll(static_cast<unsigned long long>(size));
    return {
        .function = table.copy[i], .inputs = 1, .outputs = 1, .dtypes = {of_size[i], of_size[i]}};
}

// Bytes in one run.
void move_run(char* to, const char* from, ptrdiff_t bytes, WorkSplit split) noexcept {
    bool const streaming = 2 * bytes >= stream_from();
    auto const part = [&](ptrdiff_t first, ptrdiff_t n) {
        if (streaming)
            copy_streaming(to + first, from + first, n);
        else
            std::memcpy(to + first, from + first, static_cast<size_t>(n));
    };
    ptrdiff_t const each = (bytes / split.team.threads / 64 + 1) * 64;
    if (split.team.threads < 2 || each >= bytes) return part(0, bytes);
    for_chunks((bytes + each - 1) / each, split.team, [&](ptrdiff_t i) {
        ptrdiff_t const first = i * each;
        part(first, first + each < bytes ? each : bytes - first);
    });
}

}  // namespace

void move(const Table& table, const Nest& nest, ptrdiff_t size, WorkSplit split) noexcept {
    if (nest.ndim == 1 && nest.strides[0][0] == size && nest.strides[1][0] == size)
        return move_run(nest.data[1], nest.data[0], nest.shape[0] * size, split);
    run(copy_of(table, size), nest, split);
}

void move_masked(const Table& table, const Nest& nest, ptrdiff_t size) noexcept {
    Kernel const copy = copy_of(table, size);
    for_each_block<Block>(nest, [&](const Block& b) {
        bool const in_rows =
            b.inner[2] == 1 && b.inner[1] == size && (b.inner[0] == size || b.inner[0] == 0);
        if (!in_rows) return for_each_selected(b, nest.operands, copy);
        for (ptrdiff_t row = 0; row < b.rows; ++row)
            table.copy_masked(b.data[2] + row * b.outer[2], b.data[0] + row * b.outer[0],
                              b.inner[0], b.data[1] + row * b.outer[1], b.n, size);
    });
}

}  // namespace raptors
