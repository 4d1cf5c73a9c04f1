#include "python/environment.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

namespace py = pybind11;

namespace raptors {
namespace {

constexpr size_t longest_shown = 100;

// The digits that a value starts with; `end`: what follows them. False: there are none, or too
// many.
bool leading_number(const char* value, unsigned long long* n, char** end) {
    errno = 0;
    *n = std::strtoull(value, end, 10);
    return *value >= '0' && *value <= '9' && !errno && *n <= LLONG_MAX;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Takes a unit of `size` bytes off the text: k, m, g or t, which an i makes binary, and b.
bool take_unit(char*& text, unsigned long long* size) {
    constexpr char letters[] = "kmgt";
    *size = 1;
    while (*text == ' ') ++text;
    if (const char* const found = *text ? std::strchr(letters, lower(*text)) : nullptr) {
        ++text;
        bool const binary = lower(*text) == 'i';
        text += binary;
        for (const char* l = letters; l <= found; ++l) *size *= binary ? 1024 : 1000;
    }
    text += lower(*text) == 'b';
    return !*text;
}

}  // namespace

std::string quoted(const std::string& text) {
    auto const cut = static_cast<Py_ssize_t>(std::min(text.size(), longest_shown));
    auto const decoded =
        py::reinterpret_steal<py::object>(PyUnicode_DecodeFSDefaultAndSize(text.data(), cut));
    if (!decoded) throw py::error_already_set();
    auto const shown = py::reinterpret_steal<py::object>(PyObject_ASCII(decoded.ptr()));
    if (!shown) throw py::error_already_set();
    return shown.cast<std::string>() + (text.size() > longest_shown ? "..." : "");
}

void refuse_value(const char* name, const char* what) {
    const char* const env = std::getenv(name);
    throw py::value_error(std::string(name) + " must be " + what + ", not " +
                          quoted(env ? env : ""));
}

std::optional<bool> flag_set(const char* name) {
    const char* const env = std::getenv(name);
    if (!env || !*env) return std::nullopt;
    if ((*env != '0' && *env != '1') || env[1]) refuse_value(name, "0 or 1");
    return *env == '1';
}

std::optional<unsigned long long> number_set(const char* name, const char* what) {
    const char* const env = std::getenv(name);
    if (!env || !*env) return std::nullopt;
    char* end;
    unsigned long long n;
    if (!leading_number(env, &n, &end) || *end) refuse_value(name, what);
    return n;
}

std::optional<unsigned long long> size_set(const char* name) {
    const char* const env = std::getenv(name);
    if (!env || !*env) return std::nullopt;
    char* end;
    unsigned long long n, unit;
    if (!leading_number(env, &n, &end) || !take_unit(end, &unit) ||
        __builtin_mul_overflow(n, unit, &n) || n > LLONG_MAX)
        refuse_value(name, "a number of bytes, which may have a unit such as kB, MB, GB or GiB");
    return n;
}

}  // namespace raptors
