// Arrays with parts taken out, or put in between: delete, insert.
#pragma once
#include "python/signature.h"

namespace raptors {

RAPTORS_NATIVE(delete_native);
RAPTORS_NATIVE(insert_native);

}  // namespace raptors
