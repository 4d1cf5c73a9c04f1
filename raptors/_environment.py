"""The environment variables of raptors: their names, for whoever misspells one.

docs/dispatch.md tells what they mean, CONTRIBUTING.md those of the tests.
"""

from __future__ import annotations

import os
import warnings

__all__ = ["KNOWN", "PREFIX", "TESTS", "chosen", "unknown", "warn_of_unknown"]

PREFIX = "RAPTORS_"

#: What the package reads.
KNOWN = tuple(
    PREFIX + name
    for name in (
        *("SIMD", "DISABLE", "OBJECT_CACHE", "CACHE_MAX_BYTES", "ALLOC_DEBUG", "NUM_THREADS"),
        *("BACKEND", "BLAS", "TUNING_DIR"),
        *("MIN_PARALLEL", "FAIL_THREAD", "FAIL_ALLOC", "FAIL_STICKY"),
    )
)

#: What only the tests and their scripts read.
TESTS = tuple(
    PREFIX + name
    for name in (
        *("TEST_BLAS", "TEST_ISAS", "CPP_BUILD", "PYTEST_ARGS", "NIGHTLY_OUT", "CI_GUARD", "CI_KEEP"),
        *(
            "FUZZ_CASES",
            "FUZZ_MOVES",
            "FUZZ_SEED",
            "OVERLAP_PAIRS",
            "EXPRESSIONS",
            "PRODUCTS",
            "FORKS",
            "EXITS",
        ),
        *("SOAK_SECONDS", "STRESS_SCENES", "FOREIGN_SAMPLE", "ALLOCATOR_OPERATIONS", "POOL_JOBS"),
        "FLOAT_STEP",
    )
)


def chosen() -> dict[str, str]:
    """All variables of that prefix that are set."""
    return {name: os.environ[name] for name in sorted(os.environ) if name.startswith(PREFIX)}


def unknown() -> list[str]:
    """Those that nobody reads."""
    return [name for name in chosen() if name not in KNOWN and name not in TESTS]


def warn_of_unknown() -> None:
    """Warn once of variables that nobody reads, at the import of raptors."""
    names = unknown()
    if not names:
        return
    import difflib  # no correct environment needs it

    told = []
    for name in names:
        near = difflib.get_close_matches(name[len(PREFIX) :], [known[len(PREFIX) :] for known in KNOWN], n=1)
        told.append(name + (f" (is {PREFIX}{near[0]} meant?)" if near else ""))
    warnings.warn(
        f"raptors does not know these environment variables: {', '.join(told)}", RuntimeWarning, stacklevel=3
    )
