// Which names have native code: functions of the namespace and methods of the array. One table
// each.
#pragma once
#include "python/signature.h"

namespace raptors {

struct NativeRow {
    const char* name;  // with its submodule: "linalg.norm"
    Native native;
    int which;
    bool on_array;  // functions: the first argument is the array
};
const NativeRow* find_native_function(const char* name);
const NativeRow* find_native_method(const char* name);

}  // namespace raptors
