"""Products of matrices, vectors, stacks and labelled axes by NumPy, by raptors' kernels and by BLAS."""

from __future__ import annotations

from typing import Any

from .common import LIBRARIES, array, library, skip

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


CONTRACTIONS = {
    "ij,jk->ik": ((512, 512), (512, 512)),
    "bij,bjk->bik": ((64, 64, 64), (64, 64, 64)),
    "ijk,jil->kl": ((30, 40, 50), (40, 30, 20)),
    "aibj,jcbk->kaic": ((8, 9, 10, 11), (11, 9, 10, 8)),
    "bqhd,bkhd->bhqk": ((4, 64, 8, 32), (4, 64, 8, 32)),
    "ij,ij->ij": ((500, 500), (500, 500)),
    "ij,ij->": ((500, 500), (500, 500)),
    "ij,jk,kl->il": ((40, 40), (40, 40), (40, 40)),
    "ij->j": ((500, 500),),
}


class Contractions:
    params = (("float32", "float64", "int32"), list(CONTRACTIONS), LIBRARIES)
    param_names = ("dtype", "subscripts", "library")

    def setup(self, dtype: str, subscripts: str, name: str) -> None:
        self.np = library(name)
        self.operands = [array(self.np, dtype, s, seed) for seed, s in enumerate(CONTRACTIONS[subscripts])]

    def time_einsum(self, dtype: str, subscripts: str, name: str) -> None:
        self.np.einsum(subscripts, *self.operands)


class Chains:
    params = (("float64", "int64"), (4, 100), LIBRARIES)
    param_names = ("dtype", "n", "library")

    def setup(self, dtype: str, n: int, name: str) -> None:
        self.np = library(name)
        self.a = array(self.np, dtype, (n, n))

    def time_multi_dot(self, *_: Any) -> None:
        self.np.linalg.multi_dot([self.a, self.a, self.a])

    def time_matrix_power(self, *_: Any) -> None:
        self.np.linalg.matrix_power(self.a, 5)

    def time_tensordot(self, *_: Any) -> None:
        self.np.tensordot(self.a, self.a, 1)
