#include "frame/run/iterate.h"

#include "frame/run/blocks.h"

namespace raptors {

void run(const Kernel& kernel, const Nest& nest) noexcept {
    for_each_block<Block>(nest, [&](const Block& block) { kernel(block); });
}

void run_masked(const Kernel& kernel, const Nest& nest) noexcept {
    for_each_block<Block>(
        nest, [&](const Block& block) { for_each_selected(block, nest.operands, kernel); });
}

}  // namespace raptors
