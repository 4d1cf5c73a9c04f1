// Settings that the process starts with. raptors/_environment.py names them all.
#pragma once
#include "python/pybind.h"

#include <optional>
#include <string>

namespace raptors {

// A text in quotes for a message: its beginning if it is long, escaped where it is not ASCII.
std::string quoted(const std::string& text);

// What is wrong with a variable: ValueError("<name> must be <what>, not '<its value>'").
[[noreturn]] void refuse_value(const char* name, const char* what);

// The value of a variable; none if it is not set or "". They raise on anything else than 0 or 1, a
// number, a number that may have a unit (64k, 512MB: powers of 1000; 1GiB: of 1024).
std::optional<bool> flag_set(const char* name);
std::optional<unsigned long long> number_set(const char* name, const char* what);
std::optional<unsigned long long> size_set(const char* name);

}  // namespace raptors
