"""Small arrays, where the cost is the call: operators, methods, functions, indexing, creation."""

from __future__ import annotations

from .common import LIBRARIES, array, library

STATEMENTS = {
    # operators
    "a + b": "a + b",
    "a + 1.0": "a + 1.0",
    "1.0 - a": "1.0 - a",
    "a * b + c": "a * b + c",
    "a *= 1.0": "a *= 1.0",
    "a += b": "a += b",
    "-a": "-a",
    "abs(a)": "abs(a)",
    "a > 0.5": "a > 0.5",
    "a == b": "a == b",
    "m & n": "m & n",
    "~m": "~m",
    "i + 1": "i + 1",
    "i << 1": "i << 1",
    # functions of the table
    "np.add(a, b)": "np.add(a, b)",
    "np.add(a, b, out=c)": "np.add(a, b, out=c)",
    "np.sqrt(a)": "np.sqrt(a)",
    "np.maximum(a, 0.5)": "np.maximum(a, 0.5)",
    "np.isfinite(a)": "np.isfinite(a)",
    "np.where(m, a, b)": "np.where(m, a, b)",
    "np.clip(a, 0.2, 0.8)": "np.clip(a, 0.2, 0.8)",
    # composed of several, and NumPy's loops
    "np.round(a, 2)": "np.round(a, 2)",
    "np.isclose(a, b)": "np.isclose(a, b)",
    "np.allclose(a, b)": "np.allclose(a, b)",
    "np.exp(a)": "np.exp(a)",
    "np.exp(2.0)": "np.exp(2.0)",
    "a // 2.0": "a // 2.0",
    "a ** 3": "a ** 3",
    "np.dot(a, b)": "np.dot(a, b)",
    "np.linalg.norm(a)": "np.linalg.norm(a)",
    "np.einsum('i,i', a, b)": "np.einsum('i,i', a, b)",
    "np.einsum('i,j->ij', a, b)": "np.einsum('i,j->ij', a, b)",
    "np.outer(a, b)": "np.outer(a, b)",
    "np.kron(a, b)": "np.kron(a, b)",
    "np.tensordot(a, b, 1)": "np.tensordot(a, b, 1)",
    # reductions
    "a.sum()": "a.sum()",
    "np.sum(a)": "np.sum(a)",
    "a.max()": "a.max()",
    "a.mean()": "a.mean()",
    "np.mean(a)": "np.mean(a)",
    "m.any()": "m.any()",
    "np.all(m)": "np.all(m)",
    "a.argmax()": "a.argmax()",
    # indexing
    "a[0]": "a[0]",
    "a[-1]": "a[-1]",
    "a[0:5]": "a[0:5]",
    "a[::-1]": "a[::-1]",
    "a[None]": "a[None]",
    "a[...]": "a[...]",
    "a[m]": "a[m]",
    "a[0] = 1.0": "a[0] = 1.0",
    "a[:] = b": "a[:] = b",
    "for x in a": "for x in a: pass",
    "len(a)": "len(a)",
    # creation and views
    "np.empty(n)": "np.empty(n)",
    "np.zeros(n)": "np.zeros(n)",
    "np.ones(n)": "np.ones(n)",
    "np.arange(n)": "np.arange(n)",
    "np.array([1.0, 2.0])": "np.array([1.0, 2.0])",
    "np.asarray(a)": "np.asarray(a)",
    "np.zeros_like(a)": "np.zeros_like(a)",
    "a.copy()": "a.copy()",
    "a.astype(np.float32)": "a.astype(np.float32)",
    "a.reshape(1, -1)": "a.reshape(1, -1)",
    "a.T": "a.T",
    "a.shape": "a.shape",
    "a.tolist()": "a.tolist()",
    # served by NumPy: must not cost more than there
    "np.concatenate((a, b))": "np.concatenate((a, b))",
    "np.sort(a)": "np.sort(a)",
}


class Small:
    """One statement on arrays of n elements, executed many times by a compiled loop."""

    params = (list(STATEMENTS), [1, 2, 4, 8, 16, 100], LIBRARIES)
    param_names = ("statement", "n", "library")
    repeat = 5

    LOOPS = 200

    def setup(self, statement: str, n: int, name: str) -> None:
        np = library(name)
        names = {"np": np, "n": n}
        for seed, letter in enumerate("abc"):
            names[letter] = array(np, "float64", n, seed)
        names["i"] = array(np, "int64", n)
        names["m"], names["n_"] = array(np, "bool", n), array(np, "bool", n, 1)
        body = STATEMENTS[statement].replace("m & n", "m & n_")
        local = ", ".join(f"{key}={key}" for key in names)
        source = f"def loop({local}):\n    for _ in range({self.LOOPS}):\n        {body}\n"
        exec(
            compile(source, statement, "exec"), names
        )  # the statement as a program has it: local names, no call around it
        self.loop = names["loop"]

    def time_statement(self, statement: str, n: int, name: str) -> None:
        self.loop()


class Startup:
    """Importing the library in a fresh interpreter."""

    params = (LIBRARIES,)
    param_names = ("library",)
    timeout = 60

    def setup(self, name: str) -> None:
        import subprocess
        import sys

        self.run = lambda: subprocess.run([sys.executable, "-c", f"import {name}"], check=True)
        self.run()

    def time_import(self, name: str) -> None:
        self.run()
