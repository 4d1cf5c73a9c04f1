#include "frame/threads/work_split.h"

#include "frame/memory/streaming.h"
#include "frame/run/blocks.h"

namespace raptors {
namespace {

// The block of a nest of at most two axes.
Block block_of(const Nest& nest) noexcept {
    int const inner = nest.ndim - 1;
    Block block{};
    for (int i = 0; i < nest.operands; ++i) {
        block.data[i] = nest.data[i];
        if (nest.ndim) block.inner[i] = nest.strides[i][inner];
        if (inner > 0) block.outer[i] = nest.strides[i][0];
    }
    block.n = nest.ndim ? nest.shape[inner] : 1;
    block.rows = inner > 0 ? nest.shape[0] : 1;
    return block;
}

}  // namespace

void run(const Kernel& kernel, const Nest& nest, WorkSplit split) noexcept {
    bool const one_block = nest.ndim && nest.ndim <= 2;
    bool const streaming = one_block && streams(kernel, block_of(nest));
    // Across lines one thread has an order of its own, which chunks would disturb.
    bool const uncut =
        split.team.threads < 2 && one_block && has_columns(block_of(nest), nest.operands);
    for_parts(nest, uncut ? unsplit : split_of(kernel, split), [&](const Nest& part) {
        if (streaming)
            run_streaming(kernel, block_of(part));
        else
            run(kernel, part);
        return true;
    });
}

}  // namespace raptors
