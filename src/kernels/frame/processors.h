// How many processors this process may use.
#pragma once

namespace raptors {

// Those of its affinity mask, and no more than the quota of its control group allows; at least 1.
// `root` stands for "/", for tests.
int usable_processors(const char* root = "") noexcept;

}  // namespace raptors
