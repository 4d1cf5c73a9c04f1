"""A small common call of each public function, method and operator: nothing common may be slower."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy

#: Functions that read or write files, change settings, or print: their time is not the library's.
NOT_MEASURED = frozenset(
    {
        *(
            "fromfile",
            "fromregex",
            "genfromtxt",
            "info",
            "load",
            "loadtxt",
            "save",
            "savetxt",
            "savez",
            "savez_compressed",
        ),
        *(
            "get_include",
            "getbufsize",
            "geterr",
            "geterrcall",
            "printoptions",
            "set_printoptions",
            "setbufsize",
            "seterr",
        ),
        *("seterrcall", "show_config", "show_runtime", "test", "get_printoptions"),
        # Of raptors alone, or a name that NumPy has replaced.
        *("bmat", "asmatrix", "row_stack", "nested_iters", "frompyfunc"),
    }
)


def operands(np: ModuleType) -> dict[str, Any]:
    """What the calls are made of: 8 numbers, matrices of 4 x 4, and one array of each other kind."""
    rng = numpy.random.default_rng(20240229)
    numbers = rng.uniform(0.5, 0.95, (5, 8))
    a, b, c, x, w = (np.array(row) for row in numbers)
    integers = rng.integers(1, 5, (2, 8))
    days = numpy.arange("2024-02-26", "2024-03-05", dtype="M8[D]")
    return {
        "np": np,
        "a": a,
        "b": b,
        "c": c,
        "x": np.sort(x),
        "w": w,
        "above": np.array(1.0 + numbers[0]),
        "A": np.array(rng.normal(size=(4, 4)) + 4 * numpy.eye(4)),
        "B": np.array(rng.normal(size=(4, 4))),
        "S": np.array(numpy.cov(rng.normal(size=(4, 20)))),
        "T": np.array(rng.normal(size=(2, 3, 4))),
        "i": np.array(integers[0]),
        "j": np.array(integers[1]),
        "k": np.array([0, 2, 1]),
        "u": np.array(integers[0].astype("u1")),
        "f": np.array(numbers[0].astype("f4")),
        "h": np.array(numbers[0].astype("f2")),
        "z": np.array(numbers[0] + 1j * numbers[1]),
        "m": np.array(numbers[0] > 0.7),
        "n": np.array(numbers[1] > 0.7),
        "d": np.array(days),
        "t": np.array(days - days[0]),
        "s": np.array(["alpha", "beta", "gamma", "alpha"]),
        "o": np.array([1, 2.5, 3, 4], dtype=object),
        "r": np.array([(1, 2.0), (3, 4.0)], dtype=[("x", "i4"), ("y", "f8")]),
        "g": np.random.default_rng(1),
        "masked": np.ma.masked_array(numbers[:3, :4], numbers[:3, :4] > 0.9),
    }


_UNARY = """
absolute cbrt ceil conjugate cos cosh deg2rad degrees exp exp2 expm1 fabs floor frexp isfinite isinf
isnan log log10 log1p log2 logical_not modf negative positive rad2deg radians reciprocal rint sign
signbit sin sinh spacing sqrt square tan tanh trunc abs conj isneginf isposinf arcsin arctan arctanh
arccos arcsinh asin asinh acos atan atanh angle imag real iscomplex isreal real_if_close i0 sinc fix
nan_to_num unwrap amax amin any all argmax argmin argsort sort max min mean median prod ptp std sum var
count_nonzero cumsum cumprod cumulative_sum cumulative_prod nanargmax nanargmin nancumprod nancumsum
nanmax nanmean nanmedian nanmin nanprod nanstd nansum nanvar argwhere array array_repr array_str
array2string asanyarray asarray asarray_chkfinite ascontiguousarray asfortranarray atleast_1d atleast_2d
atleast_3d average copy corrcoef cov diag diagflat diff ediff1d empty_like flatnonzero flip gradient
histogram histogram_bin_edges iscomplexobj isfortran isrealobj isscalar iterable ndim nonzero ones_like
ravel shape size sort_complex squeeze trapezoid trim_zeros unique unique_all unique_counts unique_inverse
unique_values vander zeros_like roots poly polyder polyint permute_dims transpose min_scalar_type unstack
common_type result_type
"""

_OF_INTEGERS = "bincount bitwise_count bitwise_invert bitwise_not invert packbits"

_OF_ABOVE = "acosh arccosh"

_BINARY = """
add arctan2 atan2 copysign divide divmod equal float_power floor_divide fmax fmin fmod greater
greater_equal heaviside hypot less less_equal logaddexp logaddexp2 logical_and logical_or logical_xor
maximum minimum mod multiply nextafter not_equal pow power remainder subtract true_divide allclose
array_equal array_equiv isclose isin convolve correlate dot inner outer kron vdot vecdot append
intersect1d union1d setdiff1d setxor1d broadcast_arrays meshgrid polyadd polymul polysub polydiv polyval
searchsorted may_share_memory shares_memory digitize histogram2d
"""

_OF_TWO_INTEGERS = (
    "bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift left_shift right_shift gcd lcm"
)

_OF_MATRICES = "matmul tensordot"

_OF_A_MATRIX = """
fliplr flipud matrix_transpose rot90 trace tril triu tril_indices_from triu_indices_from
diag_indices_from diagonal
"""

_OF_PAIRS = "column_stack concat concatenate dstack hstack stack vstack lexsort"

_OTHERS = {
    "apply_along_axis": "np.apply_along_axis(len, 0, A)",
    "apply_over_axes": "np.apply_over_axes(np.sum, A, [0])",
    "arange": "np.arange(8.0)",
    "argpartition": "np.argpartition(a, 3)",
    "around": "np.around(a, 1)",
    "array_split": "np.array_split(a, 3)",
    "astype": "np.astype(a, np.float32)",
    "bartlett": "np.bartlett(8)",
    "base_repr": "np.base_repr(5)",
    "binary_repr": "np.binary_repr(5)",
    "blackman": "np.blackman(8)",
    "block": "np.block([a, b])",
    "broadcast_shapes": "np.broadcast_shapes((4, 1), (3,))",
    "broadcast_to": "np.broadcast_to(a, (3, 8))",
    "busday_count": "np.busday_count('2024-01-01', '2024-02-01')",
    "busday_offset": "np.busday_offset(d[0], 3, roll='forward')",
    "can_cast": "np.can_cast(np.float32, np.float64)",
    "choose": "np.choose(k, (k, k, k))",
    "clip": "np.clip(a, 0.6, 0.8)",
    "compress": "np.compress(m, a)",
    "copyto": "np.copyto(c, a)",
    "cross": "np.cross(a[:3], b[:3])",
    "datetime_as_string": "np.datetime_as_string(d)",
    "datetime_data": "np.datetime_data(d.dtype)",
    "delete": "np.delete(a, 3)",
    "diag_indices": "np.diag_indices(4)",
    "dsplit": "np.dsplit(T, 2)",
    "einsum": "np.einsum('i,i', a, b)",
    "einsum_path": "np.einsum_path('ij,jk', A, B)",
    "empty": "np.empty(8)",
    "expand_dims": "np.expand_dims(a, 0)",
    "extract": "np.extract(m, a)",
    "eye": "np.eye(4)",
    "fill_diagonal": "np.fill_diagonal(B, 0.0)",
    "format_float_positional": "np.format_float_positional(0.1)",
    "format_float_scientific": "np.format_float_scientific(0.1)",
    "from_dlpack": "np.from_dlpack(a)",
    "frombuffer": "np.frombuffer(b'12345678' * 4)",
    "fromfunction": "np.fromfunction(lambda p, q: p + q, (3, 3))",
    "fromiter": "np.fromiter((1.0, 2.0), float)",
    "fromstring": "np.fromstring('1 2 3', sep=' ')",
    "full": "np.full(8, 2.0)",
    "full_like": "np.full_like(a, 2.0)",
    "geomspace": "np.geomspace(1.0, 8.0, 8)",
    "hamming": "np.hamming(8)",
    "hanning": "np.hanning(8)",
    "histogramdd": "np.histogramdd(A[:, :2], 3)",
    "hsplit": "np.hsplit(a, 2)",
    "identity": "np.identity(4)",
    "indices": "np.indices((2, 3))",
    "insert": "np.insert(a, 3, 0.5)",
    "interp": "np.interp(a, x, b)",
    "is_busday": "np.is_busday(d)",
    "isdtype": "np.isdtype(a.dtype, 'real floating')",
    "isnat": "np.isnat(d)",
    "issubdtype": "np.issubdtype(np.float32, np.floating)",
    "ix_": "np.ix_(k, k)",
    "kaiser": "np.kaiser(8, 1.0)",
    "ldexp": "np.ldexp(a, i)",
    "linspace": "np.linspace(0.0, 1.0, 8)",
    "logspace": "np.logspace(0.0, 1.0, 8)",
    "mask_indices": "np.mask_indices(4, np.triu)",
    "matvec": "np.matvec(A, A[0])",
    "mintypecode": "np.mintypecode('fd')",
    "moveaxis": "np.moveaxis(T, 0, 1)",
    "nanpercentile": "np.nanpercentile(a, 50)",
    "nanquantile": "np.nanquantile(a, 0.5)",
    "ones": "np.ones(8)",
    "pad": "np.pad(a, 2)",
    "partition": "np.partition(a, 3)",
    "percentile": "np.percentile(a, 50)",
    "piecewise": "np.piecewise(a, [m], [0.0, 1.0])",
    "place": "np.place(c, m, b)",
    "polyfit": "np.polyfit(a, b, 1)",
    "promote_types": "np.promote_types('f4', 'i8')",
    "put": "np.put(c, k, b[:3])",
    "put_along_axis": "np.put_along_axis(c, k, 0.5, 0)",
    "putmask": "np.putmask(c, m, b)",
    "quantile": "np.quantile(a, 0.5)",
    "ravel_multi_index": "np.ravel_multi_index((k, k), (4, 4))",
    "repeat": "np.repeat(a, 2)",
    "require": "np.require(a, np.float64, 'C')",
    "reshape": "np.reshape(a, (2, 4))",
    "resize": "np.resize(a, 12)",
    "roll": "np.roll(a, 2)",
    "rollaxis": "np.rollaxis(T, 2)",
    "round": "np.round(a, 1)",
    "select": "np.select([m, n], [a, b])",
    "split": "np.split(a, 2)",
    "swapaxes": "np.swapaxes(T, 0, 1)",
    "take": "np.take(a, k)",
    "take_along_axis": "np.take_along_axis(a, k, 0)",
    "tile": "np.tile(a, 2)",
    "tri": "np.tri(4)",
    "tril_indices": "np.tril_indices(4)",
    "triu_indices": "np.triu_indices(4)",
    "typename": "np.typename('d')",
    "unpackbits": "np.unpackbits(u)",
    "unravel_index": "np.unravel_index(k, (4, 4))",
    "vecmat": "np.vecmat(A[0], A)",
    "vsplit": "np.vsplit(A, 2)",
    "where": "np.where(m, a, b)",
    "zeros": "np.zeros(8)",
    # linear algebra
    "linalg.cholesky": "np.linalg.cholesky(S)",
    "linalg.cond": "np.linalg.cond(A)",
    "linalg.cross": "np.linalg.cross(a[:3], b[:3])",
    "linalg.det": "np.linalg.det(A)",
    "linalg.diagonal": "np.linalg.diagonal(A)",
    "linalg.eig": "np.linalg.eig(A)",
    "linalg.eigh": "np.linalg.eigh(S)",
    "linalg.eigvals": "np.linalg.eigvals(A)",
    "linalg.eigvalsh": "np.linalg.eigvalsh(S)",
    "linalg.inv": "np.linalg.inv(A)",
    "linalg.lstsq": "np.linalg.lstsq(A, b[:4])",
    "linalg.matmul": "np.linalg.matmul(A, B)",
    "linalg.matrix_norm": "np.linalg.matrix_norm(A)",
    "linalg.matrix_power": "np.linalg.matrix_power(A, 3)",
    "linalg.matrix_rank": "np.linalg.matrix_rank(A)",
    "linalg.matrix_transpose": "np.linalg.matrix_transpose(A)",
    "linalg.multi_dot": "np.linalg.multi_dot([A, B, A])",
    "linalg.norm": "np.linalg.norm(a)",
    "linalg.outer": "np.linalg.outer(a, b)",
    "linalg.pinv": "np.linalg.pinv(A)",
    "linalg.qr": "np.linalg.qr(A)",
    "linalg.slogdet": "np.linalg.slogdet(A)",
    "linalg.solve": "np.linalg.solve(A, b[:4])",
    "linalg.svd": "np.linalg.svd(A)",
    "linalg.svdvals": "np.linalg.svdvals(A)",
    "linalg.tensordot": "np.linalg.tensordot(A, B)",
    "linalg.tensorinv": "np.linalg.tensorinv(A, 1)",
    "linalg.tensorsolve": "np.linalg.tensorsolve(A, b[:4])",
    "linalg.trace": "np.linalg.trace(A)",
    "linalg.vecdot": "np.linalg.vecdot(a, b)",
    "linalg.vector_norm": "np.linalg.vector_norm(a)",
    # Fourier transforms
    **{
        f"fft.{name}": f"np.fft.{name}({'z' if name[0] == 'i' and name[1] != 'h' else 'a'})"
        for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "fftshift", "ifftshift")
    },
    **{
        f"fft.{name}": f"np.fft.{name}(A)"
        for name in ("fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn")
    },
    "fft.fftfreq": "np.fft.fftfreq(8)",
    "fft.rfftfreq": "np.fft.rfftfreq(8)",
}

#: Methods and attributes of an array.
_METHODS = {
    "all": "m.all()",
    "any": "m.any()",
    "argmax": "a.argmax()",
    "argmin": "a.argmin()",
    "argpartition": "a.argpartition(3)",
    "argsort": "a.argsort()",
    "astype": "a.astype('f4')",
    "byteswap": "a.byteswap()",
    "choose": "k.choose((k, k, k))",
    "clip": "a.clip(0.6, 0.8)",
    "compress": "a.compress(m)",
    "conj": "z.conj()",
    "conjugate": "a.conjugate()",
    "copy": "a.copy()",
    "cumprod": "a.cumprod()",
    "cumsum": "a.cumsum()",
    "diagonal": "A.diagonal()",
    "dot": "a.dot(b)",
    "fill": "c.fill(0.5)",
    "flatten": "A.flatten()",
    "getfield": "a.getfield('i4')",
    "item": "a.item(3)",
    "max": "a.max()",
    "mean": "a.mean()",
    "min": "a.min()",
    "nonzero": "m.nonzero()",
    "partition": "c.partition(3)",
    "prod": "a.prod()",
    "put": "c.put(k, 0.5)",
    "ravel": "A.ravel()",
    "repeat": "a.repeat(2)",
    "reshape": "a.reshape(2, 4)",
    "round": "a.round(1)",
    "searchsorted": "x.searchsorted(0.7)",
    "sort": "c.sort()",
    "squeeze": "a.squeeze()",
    "std": "a.std()",
    "sum": "a.sum()",
    "swapaxes": "A.swapaxes(0, 1)",
    "take": "a.take(k)",
    "tobytes": "a.tobytes()",
    "tolist": "a.tolist()",
    "trace": "A.trace()",
    "transpose": "A.transpose()",
    "var": "a.var()",
    "view": "a.view()",
    "T": "A.T",
    "mT": "A.mT",
    "real": "z.real",
    "imag": "z.imag",
    "flat": "a.flat",
    "shape": "a.shape",
    "dtype": "a.dtype",
    "__dlpack__": "a.__dlpack__()",
    "__array__": "a.__array__()",
    "__array_interface__": "a.__array_interface__",
    "__copy__": "a.__copy__()",
}

#: Operators, indices and what else a program writes without a name.
_FORMS = (
    *(f"a {operator} b" for operator in ("+", "-", "*", "/", "//", "%", "**", "<", "==", ">=")),
    *(f"i {operator} j" for operator in ("+", "-", "*", "//", "%", "<<", "&", "|", "^", "<")),
    *(f"{x} + {x}" for x in ("f", "h", "u", "z", "o")),
    *(
        "a + 1",
        "2.0 * a",
        "1 / a",
        "a ** 2",
        "a ** 0.5",
        "-a",
        "abs(a)",
        "+a",
        "~m",
        "m & n",
        "A @ B",
        "a @ b",
        "divmod(a, b)",
    ),
    *("a + 1j", "z * z", "h * h", "f + a", "i + a", "d - d", "d + t", "t * 2", "s == s", "o * 2"),
    *(
        "c += b",
        "c *= 1.0",
        "c[:] = b",
        "c[::2] = 0.5",
        "c[3] = 0.5",
        "B[1, 2] = 1.0",
        "B[1] = 0.5",
        "B[:, 1] = 0.5",
    ),
    *(
        "a[3]",
        "a[1:5]",
        "a[::-1]",
        "a[...]",
        "a[None]",
        "A[1]",
        "A[1, 2]",
        "A[:, 1]",
        "A[1:3, 1:3]",
        "r['x']",
        "r[0]",
    ),
    *(
        "a[m]",
        "a[k]",
        "a[[0, 2]]",
        "A[k]",
        "A[k, k]",
        "A[:, k]",
        "A[[0, 1], [1, 2]]",
        "A[np.ix_(k, k)]",
        "A[A > 0]",
    ),
    *("c[m] = 0.5", "c[k] = 0.5", "c[k] = b[:3]", "c[m] = b[m]", "B[k, k] = 0.5", "B[B > 1] = 1.0"),
    *(
        "[*a]",
        "[*A]",
        "len(a)",
        "bool(a[0])",
        "float(a[0])",
        "0.7 in a",
        "a.sum(axis=0)",
        "A.sum(axis=1)",
        "A.mean(0)",
    ),
    *("A.max(axis=0)", "A.sum(axis=(0, 1))", "A.std(axis=0)", "np.add.reduce(a)", "np.add.accumulate(a)"),
    *(
        "np.multiply.outer(a, b)",
        "np.add.reduceat(a, k)",
        "np.add.at(c, k, 0.5)",
        "np.where(m)",
        "np.sum(A, axis=0)",
    ),
    *("np.array([1.0, 2.0])", "np.array([[1, 2], [3, 4]])", "np.asarray([1, 2])", "np.array(a, dtype='f4')"),
    *(
        "np.asarray(a, dtype='f8', order='C')",
        "np.zeros((2, 3))",
        "np.zeros(16, 'f2')",
        "np.empty(16, 'c16')",
    ),
    *("np.full(8, 1, 'f2')", "np.ones(8, 'F')", "np.linspace(0, 1, 5, dtype='f4')", "np.concatenate((h, h))"),
    *(
        "np.concatenate((z, z))",
        "a.astype('c16')",
        "a.astype(int)",
        "i.astype(float)",
        "h.sum()",
        "z.sum()",
        "i.sum()",
    ),
    *("masked + masked", "masked[2, 3]", "masked[0]", "masked.sum()", "masked.mean(axis=0)"),
    *("g.random(8)", "g.normal(size=8)", "g.integers(0, 5, 8)", "np.random.rand(8)", "np.random.randn(8)"),
    *("np.random.randint(0, 5, 8)", "g.permutation(8)", "g.choice(a, 3)"),
    *(
        "np.strings.upper(s)",
        "np.strings.find(s, 'a')",
        "np.char.add(s, s)",
        "str(a)",
        "repr(a)",
        "np.polynomial.Polynomial([1, 2])(a)",
    ),
    *(
        "np.emath.sqrt(a)",
        "np.vectorize(float)(a)",
        "np.r_[a, b]",
        "np.c_[a, b]",
        "np.mgrid[0:3, 0:3]",
        "np.s_[1:2]",
    ),
    *(
        "np.float64(1.5) + a",
        "np.errstate(all='ignore')",
        "np.dtype('f8')",
        "np.iinfo('i4')",
        "np.finfo('f4')",
    ),
    *(
        "for v in a: pass",
        "for v in A: pass",
        "for v in a.flat: pass",
        "for p in np.nditer(a): pass",
        "for p in np.ndindex(2, 3): pass",
    ),
)


def _exists(name: str) -> bool:
    """Whether the installed NumPy has the function."""
    home, _, function = name.rpartition(".")
    return hasattr(getattr(numpy, home) if home else numpy, function)


def calls() -> dict[str, str]:
    """Statement by name: of functions their own, of methods "a.method", of other forms themselves."""
    table = {}
    for names, arguments in (
        (_UNARY, "a"),
        (_OF_INTEGERS, "u"),
        (_OF_ABOVE, "above"),
        (_BINARY, "a, b"),
        (_OF_TWO_INTEGERS, "i, j"),
        (_OF_MATRICES, "A, B"),
        (_OF_A_MATRIX, "A"),
        (_OF_PAIRS, "(a, b)"),
    ):
        table.update({name: f"np.{name}({arguments})" for name in names.split()})
    table["digitize"] = "np.digitize(a, x)"
    table["polyval"] = "np.polyval(x, a)"
    table["searchsorted"] = "np.searchsorted(x, a)"
    table.update(_OTHERS)
    table = {name: statement for name, statement in table.items() if _exists(name)}
    table.update({f"ndarray.{name}": statement for name, statement in _METHODS.items()})
    table.update({form: form for form in _FORMS})
    return table


def public_names() -> Iterator[str]:
    """The functions that a program may call: NumPy's own list, with linear algebra and Fourier transforms."""
    for prefix, module in (("", numpy), ("linalg.", numpy.linalg), ("fft.", numpy.fft)):
        for name in sorted(module.__all__):
            value = getattr(module, name)
            if callable(value) and not isinstance(value, type) and name not in NOT_MEASURED:
                yield prefix + name
