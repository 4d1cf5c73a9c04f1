// Scans along one axis of any layout.
#pragma once
#include "api/scan.h"
#include "frame/threads/work_split.h"

namespace raptors {

// Operand 0 of the nest is the input, operand 1 the output, of one shape; runs along `axis` are
// scanned, by several threads where there are several. The output may be exactly the input. With a
// conversion the input is cast first, piece by piece. Results do not depend on who works. False:
// out of memory, the output may be partly written.
[[nodiscard]] bool run_scan(ScanFn kernel, const Nest& nest, int axis, const Conversion& conversion,
                            WorkSplit split) noexcept;

}  // namespace raptors
