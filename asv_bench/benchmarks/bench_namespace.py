"""The whole namespace on small arrays, a call of each name."""

from __future__ import annotations

import warnings

from .calls import calls, operands
from .common import LIBRARIES, library


class Call:
    """One statement, executed many times by a compiled loop."""

    params = (list(calls()), LIBRARIES)
    param_names = ("call", "library")

    LOOPS = 50

    def setup(self, call: str, name: str) -> None:
        warnings.simplefilter("ignore")
        names = operands(library(name))
        local = ", ".join(f"{key}={key}" for key in names)
        source = f"def loop({local}):\n    for _ in range({self.LOOPS}):\n        {calls()[call]}\n"
        exec(compile(source, call, "exec"), names)
        self.loop = names["loop"]

    def time_call(self, call: str, name: str) -> None:
        self.loop()
