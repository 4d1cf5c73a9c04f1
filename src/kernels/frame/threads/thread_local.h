// Variables of a thread that need no call to be found.
#pragma once

#if defined(__linux__)
#define RAPTORS_TLS static thread_local __attribute__((tls_model("initial-exec")))
#else
#define RAPTORS_TLS static thread_local
#endif
