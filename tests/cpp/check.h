// Counts checks and failures; no framework.
#pragma once
#include <cstdio>

// How many of the random trials there is time for: an emulated processor is some 30 times slower.
#if defined(RAPTORS_EMULATED)
constexpr bool emulated = true;
#else
constexpr bool emulated = false;
#endif
constexpr int patience = emulated ? 1 : 5;

struct Checks {
    long passed = 0;
    long failed = 0;

    // Counts; true if a message is wanted: only the first failures are printed.
    bool fails(bool ok) {
        (ok ? passed : failed) += 1;
        return !ok && failed <= 20;
    }

    // The exit status of the executable.
    int report(const char* name) const {
        std::printf("%s: %ld passed, %ld failed\n", name, passed, failed);
        return failed ? 1 : 0;
    }
};

inline Checks checks;

#define CHECK(condition) CHECK_MESSAGE(condition, "%s", #condition)

// A failure prints the message, as printf would.
#define CHECK_MESSAGE(condition, ...)                           \
    do {                                                        \
        if (checks.fails(condition)) {                          \
            std::printf("%s:%d: failed: ", __FILE__, __LINE__); \
            std::printf(__VA_ARGS__);                           \
            std::putchar('\n');                                 \
        }                                                       \
    } while (0)
