#include "frame/run/move.h"

#include "frame/run/blocks.h"
#include "frame/run/iterate.h"

namespace raptors {
namespace {

// `size` stays the kernel's context.
Kernel copy_of(const Table& table, const ptrdiff_t& size) noexcept {
    bool const has_kernel = size <= ptrdiff_t{sizeof(Element)} && (size & (size - 1)) == 0;
    if (has_kernel) return {table.copy[__builtin_ctzll(static_cast<unsigned long long>(size))]};
    return {table.copy_sized, &size};
}

}  // namespace

void move(const Table& table, const Nest& nest, ptrdiff_t size) noexcept {
    run(copy_of(table, size), nest);
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
