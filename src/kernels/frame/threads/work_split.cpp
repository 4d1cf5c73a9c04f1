#include "frame/threads/work_split.h"

#include "frame/memory/streaming.h"

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
    bool const streaming = nest.ndim && nest.ndim <= 2 && streams(kernel, block_of(nest));
    for_parts(nest, split_of(kernel, split), [&](const Nest& part) {
        if (streaming)
            run_streaming(kernel, block_of(part));
        else
            run(kernel, part);
        return true;
    });
}

}  // namespace raptors
