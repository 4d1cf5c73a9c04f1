"""Products of matrices, vectors and stacks by NumPy, by raptors' kernels and by BLAS."""

from __future__ import annotations

from typing import Any

from .common import array, library, skip

MAKERS = ("numpy", "auto", "raptors", "blas")  # NumPy, or raptors under a backend policy


class Products:
    timeout = 300

    def prepare(self, dtype: str, maker: str, *shapes: tuple[int, ...]) -> None:
        np = library("numpy" if maker == "numpy" else "raptors")
        if maker != "numpy":
            np.set_backend_policy(maker)
        self.a, self.b = (array(np, dtype, shape, seed) for seed, shape in enumerate(shapes))
        self.a @ self.b  # a library is loaded, figures are read


class Squares(Products):
    params = (("float32", "float64"), (4, 10, 32, 64, 100, 256, 512, 1024, 2048), MAKERS)
    param_names = ("dtype", "n", "maker")

    def setup(self, dtype: str, n: int, maker: str) -> None:
        self.prepare(dtype, maker, (n, n), (n, n))

    def time_product(self, *_: Any) -> None:
        self.a @ self.b

    def time_with_own_transpose(self, *_: Any) -> None:
        self.a @ self.a.T


class Integers(Products):
    """NumPy has no BLAS for these, nor has raptors."""

    params = (("int8", "int16", "int32", "int64", "bool"), (10, 100, 512), ("numpy", "raptors"))
    param_names = ("dtype", "n", "maker")

    def setup(self, dtype: str, n: int, maker: str) -> None:
        self.prepare(dtype, maker, (n, n), (n, n))

    def time_product(self, *_: Any) -> None:
        self.a @ self.b


class Vectors(Products):
    params = (("float32", "float64"), (4, 100, 512, 2048), MAKERS)
    param_names = ("dtype", "n", "maker")

    def setup(self, dtype: str, n: int, maker: str) -> None:
        self.prepare(dtype, maker, (n, n), (n,))

    def time_matrix_vector(self, *_: Any) -> None:
        self.a @ self.b

    def time_vector_matrix(self, *_: Any) -> None:
        self.b @ self.a


STACKS = {
    "(64,64,64) @ (64,64,64)": ((64, 64, 64), (64, 64, 64)),
    "(10000,9,9) @ (9,9)": ((10000, 9, 9), (9, 9)),
    "(100000,3,3) @ (3,1)": ((100000, 3, 3), (3, 1)),
    "(100000,4,4) @ (4,4)": ((100000, 4, 4), (4, 4)),
}


class Stacks(Products):
    params = (("float32", "float64"), list(STACKS), MAKERS)
    param_names = ("dtype", "shapes", "maker")

    def setup(self, dtype: str, shapes: str, maker: str) -> None:
        if maker == "blas":
            skip("stacks are raptors' own under every policy")
        self.prepare(dtype, maker, *STACKS[shapes])

    def time_product(self, *_: Any) -> None:
        self.a @ self.b
