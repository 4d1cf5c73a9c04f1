# What Python loads first in the child processes of `raptors run`: this folder leads their PYTHONPATH.
# A child may be any Python: only the one that the run itself uses goes on with raptors. The language
# here is the part that Python 2 understands, too.

import os
import sys


def follow(package):
    implementation = getattr(sys, "implementation", None)
    if implementation is None or sys.version_info < (3, 11):
        return
    tag = str(implementation.cache_tag) + sys.abiflags
    if not os.environ.get("_RAPTORS_RUN", "").startswith(tag + ":"):
        return
    import importlib.util

    spec = importlib.util.find_spec("raptors")
    if spec is None or package not in (spec.submodule_search_locations or ()):
        return
    # Not the package itself: most of it, and NumPy, are for programs that use them.
    for name in ("raptors._hooks", "raptors._imports", "raptors._processes"):
        path = os.path.join(package, name.partition(".")[2] + ".py")
        part = importlib.util.spec_from_file_location(name, path)
        sys.modules[name] = importlib.util.module_from_spec(part)
        part.loader.exec_module(sys.modules[name])
    sys.modules["raptors._processes"].follow()


here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [path for path in sys.path if os.path.abspath(path) != here]
follow(os.path.dirname(here))

# The user's own sitecustomize in place of this one. Where there is none, the error says so to `site`.
del sys.modules["sitecustomize"]
import sitecustomize  # noqa: E402, F401
