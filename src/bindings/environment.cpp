#include "environment.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

namespace raptors {

bool is_set(const char* name) {
    const char* const env = std::getenv(name);
    return env && *env && std::strcmp(env, "0") != 0;
}

std::optional<unsigned long long> number_set(const char* name, const char* what) {
    const char* const env = std::getenv(name);
    if (!env || !*env) return std::nullopt;
    char* end = nullptr;
    errno = 0;
    unsigned long long const n = std::strtoull(env, &end, 10);
    if (end == env || *end || errno || *env == '-')
        throw pybind11::value_error(std::string(name) + " must be " + what);
    return n;
}

}  // namespace raptors
