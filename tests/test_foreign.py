"""Arrays of other libraries next to ours: the same results and types as next to NumPy's arrays.

Every case is an expression in `np` (the library), `a` (its array), `b` (its Boolean array), `i` (its integer
array) and `f` (the foreign object). Where foreign code makes the result, or NumPy's own function is called, a
plain array may be either library's.
"""

from __future__ import annotations

import array
import collections.abc
import ctypes
import decimal
import fractions
import types
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import pytest
from foreign import NEAR, answer, need, need_torch
from helpers import Mismatches, mine

# ---- foreign objects -----------------------------------------------------------------------------


class Aloof:
    """Wants to be left alone."""

    __array_ufunc__ = None

    def __init__(self, data: Any) -> None:
        self.data = data

    def parts(self) -> Sequence[Any]:
        return [self.data]


def _reflected(name: str) -> Callable[[Any, Any], Any]:
    return lambda self, other: (name, type(other))


_DUNDERS = [
    f"__{prefix}{name}__"
    for name in (
        "add",
        "sub",
        "mul",
        "truediv",
        "floordiv",
        "mod",
        "pow",
        "matmul",
        "and",
        "lshift",
        "divmod",
    )
    for prefix in ("", "r", "i")
    if (prefix, name) != ("i", "divmod")
] + ["__lt__", "__le__", "__eq__", "__ne__", "__gt__", "__ge__"]
_ANSWERS: dict[str, Any] = {name: _reflected(name) for name in _DUNDERS} | {"__hash__": None}
AloofOperators = type("AloofOperators", (Aloof,), _ANSWERS)


class OnlyArray:
    """Nothing but __array__."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return numpy.array(self.data, dtype=dtype, copy=copy)

    def parts(self) -> Sequence[Any]:
        return [self.data]


class OldArray:
    """An __array__ that knows neither dtype nor copy."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __array__(self) -> Any:
        return self.data


class WrapsArray(OnlyArray):
    """Puts results of ufuncs into its own type."""

    __array_priority__ = 10.0

    def __array_wrap__(self, result: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return (type(self).__name__, context[0].__name__ if context else None, return_scalar, result)


class Interface:
    def __init__(self, data: Any) -> None:
        self.data = data
        self.__array_interface__ = data.__array_interface__

    def parts(self) -> Sequence[Any]:
        return [self.data]


class Struct:
    def __init__(self, data: Any) -> None:
        self.data = data
        self.__array_struct__ = data.__array_struct__


class Exchange:
    """Only DLPack."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __dlpack__(self, **keywords: Any) -> Any:
        return self.data.__dlpack__(**keywords)

    def __dlpack_device__(self) -> Any:
        return self.data.__dlpack_device__()


class Important(OnlyArray):
    """A high priority and reflected operators: arrays return NotImplemented."""

    __array_priority__ = 1000.0


for _name in _DUNDERS:
    setattr(Important, _name, _ANSWERS[_name])


class Modest(OnlyArray):
    """A low priority and reflected operators: arrays compute."""

    __array_priority__ = -1000.0
    __radd__ = _reflected("__radd__")
    __rmul__ = _reflected("__rmul__")
    __gt__ = _reflected("__gt__")


class Silent:
    """Reflected operators alone: NumPy asks each element."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __add__(self, other: Any) -> Any:
        return ("add", other)

    def __radd__(self, other: Any) -> Any:
        return ("radd", other)

    def __rmul__(self, other: Any) -> Any:
        return ("rmul", other)


class Mixin(numpy.lib.mixins.NDArrayOperatorsMixin):
    """The duck array of NumPy's documentation."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return numpy.array(self.data, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        out = keywords.get("out", ())
        for x in (*inputs, *out):
            if not isinstance(x, (numpy.ndarray, numpy.generic, int, float, list, Mixin)):
                return NotImplemented
        if out:
            keywords["out"] = tuple(x.data if isinstance(x, Mixin) else x for x in out)
        where = keywords.get("where", True)
        if isinstance(where, Mixin):
            keywords["where"] = where.data
        result = getattr(ufunc, method)(*(x.data if isinstance(x, Mixin) else x for x in inputs), **keywords)
        if isinstance(result, tuple):
            return tuple(type(self)(x) for x in result)
        return type(self)(result) if method != "at" else None

    def parts(self) -> Sequence[Any]:
        return [self.data]


class Duck(Mixin):
    """Both protocols; knows a few functions."""

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if not all(issubclass(t, (numpy.ndarray, Duck)) for t in types):
            return NotImplemented
        if func not in _DUCK:
            return NotImplemented
        return _DUCK[func](*args, **kwargs)


def _bare(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return type(x)(map(_bare, x))
    return x.data if isinstance(x, Duck) else x


_DUCK: dict[Any, Any] = {
    f: (lambda *args, _f=f, **kwargs: Duck(_f(*map(_bare, args), **{k: _bare(v) for k, v in kwargs.items()})))
    for f in (
        numpy.concatenate,
        numpy.stack,
        numpy.mean,
        numpy.sum,
        numpy.where,
        numpy.sort,
        numpy.dot,
        numpy.clip,
        numpy.ones_like,
        numpy.asarray,
    )
}


class Recorder:
    """Answers both protocols with what it was asked."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        return (repr(ufunc), method, [type(x) for x in inputs], sorted(keywords))

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return (func.__name__, sorted({t.__name__ for t in types}), len(args), sorted(kwargs))

    def parts(self) -> Sequence[Any]:
        return []


class OldSequence(collections.abc.Sequence[Any]):
    def __init__(self, data: Any) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, k: Any) -> Any:
        return self.data[k]

    def parts(self) -> Sequence[Any]:
        return [self.data]


class Float(float):
    """A subclass of a Python scalar."""


class Indexed:
    """Only __index__."""

    def __index__(self) -> int:
        return 1


class Real:
    """Only __float__."""

    def __float__(self) -> float:
        return 1.5


class NumpySub(numpy.ndarray):
    """An ordinary subclass."""


class UnitLike(numpy.ndarray):
    """A subclass with both protocols in the way of units: super() on plain views."""

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        plain = [x.view(numpy.ndarray) if isinstance(x, UnitLike) else x for x in inputs]
        out = keywords.pop("out", None)
        if out is not None:
            keywords["out"] = tuple(x.view(numpy.ndarray) if isinstance(x, UnitLike) else x for x in out)
        result = super().__array_ufunc__(ufunc, method, *plain, **keywords)
        if result is NotImplemented:
            return NotImplemented
        if out is not None:
            return out[0]
        return result.view(type(self)) if isinstance(result, numpy.ndarray) else result

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        result = super().__array_function__(func, types, args, kwargs)
        return result.view(type(self)) if isinstance(result, numpy.ndarray) else result


@dataclass(frozen=True)
class Kind:
    """How to make a foreign object of an array, the module it needs, and the shape of its data."""

    make: Callable[[Any, Any], Any]
    module: str = "numpy"
    shape: tuple[int, ...] = (3,)
    over: bool = True  # holds the array it is made of
    answers: bool = False  # computes what operators give

    def data(self, dtype: str = "f8") -> Any:
        n = int(numpy.prod(self.shape))
        return (numpy.arange(n) % 5 + 1).astype(dtype).reshape(self.shape)


def _pd(make: Callable[[Any, Any], Any], over: bool = False, shape: tuple[int, ...] = (3,)) -> Kind:
    return Kind(lambda xp, d: make(need("pandas"), d), "pandas", shape, over, answers=True)


def _sparse(name: str) -> Kind:
    return Kind(lambda xp, d: getattr(need("scipy.sparse"), name)(d), "scipy.sparse", (3, 3), answers=True)


def _torch_tensor(xp: Any, d: Any) -> Any:
    return need_torch().from_numpy(d)


def _dask_array(xp: Any, d: Any) -> Any:
    return need("dask.array").from_array(d, chunks=2)


def _quantity(unit: str) -> Callable[[Any, Any], Any]:
    return lambda xp, d: need("astropy.units").Quantity(d, unit)


def _memmap(xp: Any, d: Any) -> Any:
    import tempfile

    with tempfile.TemporaryFile() as file:
        m = xp.memmap(file, d.dtype, "w+", shape=d.shape)
        m[...] = d
        return m


KINDS: dict[str, Kind] = {
    "pandas.Series": _pd(lambda pd, d: pd.Series(d, index=list("xyz"), name="s"), True),
    "pandas.Series:view": _pd(lambda pd, d: pd.Series(d, copy=False), True),
    "pandas.Series:Int64": _pd(lambda pd, d: pd.Series([1, None, 3], dtype="Int64")),
    "pandas.Series:datetime": _pd(lambda pd, d: pd.Series(pd.date_range("2020", periods=3))),
    "pandas.Series:category": _pd(lambda pd, d: pd.Series([1.0, 2.0, 1.0], dtype="category")),
    "pandas.Series:text": _pd(lambda pd, d: pd.Series(["a", "b", "c"])),
    "pandas.Series:object": _pd(lambda pd, d: pd.Series([1, 2.5, None], dtype=object)),
    "pandas.Index": _pd(lambda pd, d: pd.Index(d), True),
    "pandas.RangeIndex": _pd(lambda pd, d: pd.RangeIndex(3)),
    "pandas.DatetimeIndex": _pd(lambda pd, d: pd.date_range("2020", periods=3)),
    "pandas.Categorical": _pd(lambda pd, d: pd.Categorical([2.0, 1.0, 2.0], ordered=True)),
    "pandas.array:Float64": _pd(lambda pd, d: pd.array([1.0, None, 3.0], dtype="Float64")),
    "pandas.DataFrame": _pd(lambda pd, d: pd.DataFrame(d, columns=list("xyz")), True, (3, 3)),
    "pandas.DataFrame:mixed": _pd(
        lambda pd, d: pd.DataFrame({"x": d[:, 0], "t": pd.date_range("2020", periods=3), "k": list("abc")}),
        True,
        (3, 3),
    ),
    "pandas.Timestamp": _pd(lambda pd, d: pd.Timestamp("2020-01-02")),
    "pandas.NA": _pd(lambda pd, d: pd.NA),
    "xarray.DataArray": Kind(
        lambda xp, d: need("xarray").DataArray(d, dims=["t"], coords={"t": [1, 2, 3]}), "xarray"
    ),
    "xarray.DataArray:2-d": Kind(
        lambda xp, d: need("xarray").DataArray(d, dims=["t", "u"]), "xarray", (3, 3)
    ),
    "xarray.Variable": Kind(lambda xp, d: need("xarray").Variable(["t"], d), "xarray"),
    "xarray.Dataset": Kind(lambda xp, d: need("xarray").Dataset({"v": ("t", d)}), "xarray"),
    "dask.array": Kind(_dask_array, "dask.array"),
    "dask.array:2-d": Kind(_dask_array, "dask.array", (3, 3)),
    "scipy.csr_array": _sparse("csr_array"),
    "scipy.csr_matrix": _sparse("csr_matrix"),
    "scipy.coo_array": _sparse("coo_array"),
    "astropy.Quantity": Kind(_quantity("m"), "astropy.units"),
    "astropy.Quantity:plain": Kind(_quantity(""), "astropy.units"),
    "astropy.Quantity:angle": Kind(_quantity("deg"), "astropy.units"),
    "astropy.Unit": Kind(lambda xp, d: need("astropy.units").Unit("m"), "astropy.units", over=False),
    "astropy.Time": Kind(lambda xp, d: need("astropy.time").Time(d, format="mjd"), "astropy.time"),
    "torch.Tensor": Kind(_torch_tensor, "torch"),
    "torch.Tensor:2-d": Kind(_torch_tensor, "torch", (3, 3)),
    "torch.Tensor:grad": Kind(
        lambda xp, d: need_torch().tensor([1.0, 2.0, 3.0], requires_grad=True), "torch", over=False
    ),
    "numpy.ma": Kind(lambda xp, d: numpy.ma.array(d, mask=[0, 1, 0])),
    "numpy.ma:2-d": Kind(lambda xp, d: numpy.ma.masked_equal(d, 2), shape=(3, 3)),
    "ma": Kind(lambda xp, d: xp.ma.masked_greater(d, 2)),
    "numpy.ma.masked": Kind(lambda xp, d: numpy.ma.masked, over=False),
    "numpy.matrix": Kind(lambda xp, d: numpy.matrix(d), shape=(3, 3)),
    "matrix": Kind(lambda xp, d: xp.matrix(d), shape=(3, 3)),
    "numpy.recarray": Kind(lambda xp, d: numpy.rec.fromarrays([d, d + 1], names="x,y")),
    "recarray": Kind(lambda xp, d: xp.rec.fromarrays([d, d + 1], names="x,y")),
    "memmap": Kind(_memmap),
    "chararray": Kind(lambda xp, d: xp.char.array(["a", "b", "c"]), over=False),
    "numpy subclass": Kind(lambda xp, d: d.view(NumpySub)),
    "unit-like subclass": Kind(lambda xp, d: d.view(UnitLike)),
    "__array_ufunc__ = None": Kind(lambda xp, d: Aloof(d)),
    "__array_ufunc__ = None, operators": Kind(lambda xp, d: AloofOperators(d)),
    "__array__": Kind(lambda xp, d: OnlyArray(d)),
    "__array__, __array_wrap__": Kind(lambda xp, d: WrapsArray(d)),
    "__array_interface__": Kind(lambda xp, d: Interface(d)),
    "__array_struct__": Kind(lambda xp, d: Struct(d)),
    "__dlpack__": Kind(lambda xp, d: Exchange(d)),
    "__array_priority__ high": Kind(lambda xp, d: Important(d)),
    "__array_priority__ low": Kind(lambda xp, d: Modest(d)),
    "operators only": Kind(lambda xp, d: Silent(d)),
    "NEP 13": Kind(lambda xp, d: Mixin(d)),
    "NEP 18": Kind(lambda xp, d: Duck(d)),
    "NEP 13 and 18": Kind(lambda xp, d: Recorder(d)),
    "sequence": Kind(lambda xp, d: OldSequence(d)),
    "list of arrays": Kind(lambda xp, d: [d, d]),
    "tuple": Kind(lambda xp, d: (1.0, 2.0, 3.0), over=False),
    "range": Kind(lambda xp, d: range(3), over=False),
    "memoryview": Kind(lambda xp, d: memoryview(d)),
    "array.array": Kind(lambda xp, d: array.array("d", [1.0, 2.0, 3.0]), over=False),
    "ctypes": Kind(lambda xp, d: (ctypes.c_double * 3)(1.0, 2.0, 3.0), over=False),
    "Fraction": Kind(lambda xp, d: fractions.Fraction(3, 2), over=False),
    "Decimal": Kind(lambda xp, d: decimal.Decimal(2), over=False),
    "float subclass": Kind(lambda xp, d: Float(1.5), over=False),
    "__index__": Kind(lambda xp, d: Indexed(), over=False),
    "__float__": Kind(lambda xp, d: Real(), over=False),
    "namespace": Kind(lambda xp, d: types.SimpleNamespace(x=1), over=False),
    "longdouble": Kind(lambda xp, d: numpy.longdouble(1.5), over=False),
    "bool_": Kind(lambda xp, d: numpy.True_, over=False),
    "datetime64": Kind(lambda xp, d: numpy.datetime64("2020-01-01"), over=False),
    "bytes": Kind(lambda xp, d: b"abc", over=False),
    "str": Kind(lambda xp, d: "abc", over=False),
}


# ---- expressions ---------------------------------------------------------------------------------


_SYMBOLS = ("+", "-", "*", "/", "//", "%", "**", "@", "&", "<<", "<", "<=", "==", "!=", ">", ">=")
_IN_PLACE = ("iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "imatmul", "iand")

OURS_LEFT = [
    *(f"a {s} f" for s in _SYMBOLS),
    "divmod(a, f)",
    "i & f",
    "i + f",
    "b | f",
    "a[:0] + f",
    "np.float32(a) + f",
    *(f"also(operator.{name}(a, f), a)" for name in _IN_PLACE),
    "also(operator.iadd(i, f), i)",
    "a.dot(f)",
    "a.clip(1, f)",
    "a.searchsorted(f)",
    "f in a",
    "a[f]",
    "a[i[f]]",
    "put(a, f, 0)",
    "put(a, ..., f)",
    "put(a, 0, f)",
    "put(a, slice(0, 2), f[:2])",
    "put(a, a > 1, f)",
    "put(a, b, f[b])",
    "a.put([0, 1], f)",
    "a.fill(f)",
    "a.take(f)",
    "a.repeat(f)",
    "a.choose([f, f])",
    "a.compress(f > 1)",
    "a.sum(initial=f)",
    "a.mean(where=f)",
    "a.astype('f4') - f",
    "a.__setitem__(f, f)",
    "a.view(type(f))",
    "a.T == f",
    "round(a) + f",
    "a.item(f)",
    "a.reshape(f)",
    "a.argsort(axis=f)",
]

FOREIGN_LEFT = [
    *(f"f {s} a" for s in _SYMBOLS),
    "divmod(f, a)",
    "f + a[:1]",
    "f * a[0]",
    "f == b",
    "a[0] * f",
    "a[0] < f",
    "a.tolist() + f",
    *(f"also(operator.{name}(f, a), f)" for name in _IN_PLACE),
    "f.__add__(a)",
    "f.__eq__(a)",
    "f.dot(a)",
    "f[b]",
    "f[i - 1]",
    "f[a]",
    "put(f, b, a[b])",
    "put(f, ..., a)",
    "put(f, slice(None), a)",
    "put(f, 0, a[0])",
    "put(f, i - 1, a)",
    "a[0] in f",
    "f.isin(a)",
    "f.where(b, a)",
    "f.clip(a, a + 1)",
    "f.mask(b)",
    "f.fillna(a)",
    "f.searchsorted(a)",
    "f.take(i - 1)",
    "f.add(a)",
    "f.add_(need('torch').from_numpy(a))",
    "f.equals(a)",
    "f.map(lambda x: a)",
    "f.iloc[i - 1]",
    "f.loc[b]",
    "f.assign(new=a)",
    "f.apply(lambda x: x + a)",
    "f.groupby(i).sum()",
    "f.sum()",
    "f.mean()",
    "f.std()",
    "f.min(axis=0)",
    "f.copy()",
    "f.astype('f4')",
    "f.reshape(-1)",
    "f.T @ a",
    "f.multiply(a)",
    "f.to(a.dtype)",
    "f.to_numpy()",
    "f.values",
    "f.to_numpy() + a",
    "f.values * a",
    "f.compute()",
    "f.map_blocks(numpy.sqrt)",
    "f.map_blocks(lambda x: x + a[0])",
    "f.numpy() + a",
    "f.value * a",
    "f.to_value() + a",
    "pickle.loads(pickle.dumps(f))",
    "isinstance(f, numpy.ndarray)",
]

#: NumPy asks the right operand's class first if that derives from the left one's, but here it is called.
EXPLICIT = [
    "a.__add__(f)",
    "a.__radd__(f)",
    "a.__iadd__(f)",
    "a.__eq__(f)",
    "a.__lt__(f)",
    "a.__matmul__(f)",
    "a.__pow__(f)",
    "a.__divmod__(f)",
]

_UNARY = (
    "negative",
    "absolute",
    "sqrt",
    "tan",
    "isnan",
    "sin",
    "square",
    "logical_not",
    "rint",
    "modf",
    "floor",
)
_BINARY = (
    "add",
    "subtract",
    "multiply",
    "divide",
    "power",
    "maximum",
    "less",
    "equal",
    "arctan2",
    "logical_and",
)

UFUNCS = [
    *(f"np.{name}(f)" for name in _UNARY),
    *(f"np.{name}(a, f)" for name in _BINARY),
    *(f"np.{name}(f, a)" for name in _BINARY),
    "np.add(f, f)",
    "np.add(f, 1)",
    "np.add(1, f)",
    "np.bitwise_and(i, f)",
    "np.matmul(a, f)",
    "np.matmul(f, a)",
    "np.vecdot(f, a)",
    "np.heaviside(f, a)",
    "np.hypot(a, f, dtype='f4')",
    "np.add(a, f, casting='no')",
    "np.add(a, f, subok=False)",
    "np.add(f, a, subok=False)",
    "np.add(a, f, out=np.empty(a.shape))",
    "np.add(a, f, np.empty(a.shape))",
    "np.add(f, f, out=np.empty(a.shape))",
    "np.sqrt(f, out=np.zeros(a.shape))",
    "also(np.add(a, f, out=a), a)",
    "also(np.add(a, a, out=f), f)",
    "also(np.add(a, a, f), f)",
    "also(np.sqrt(a, out=f), f)",
    "also(np.sqrt(a, out=(f,)), f)",
    "also(np.less(a, 2, out=f), f)",
    "np.add(a, f, out=np.zeros(a.shape), where=b)",
    "np.add(a, a, out=np.zeros(a.shape), where=f)",
    "np.add(a, a, out=np.zeros(a.shape), where=f > 1)",
    "np.multiply(f, f, out=np.zeros(a.shape), where=b)",
    "also(np.multiply(a, 2, out=f, where=b), f)",
    "np.add.reduce(f)",
    "np.add.reduce(a, out=f)",
    "np.add.reduce(f, axis=0, keepdims=True)",
    "np.add.reduce(a, where=f)",
    "np.add.reduce(a, where=f > 1)",
    "np.add.reduce(a, initial=f)",
    "np.maximum.reduce(f, where=b, initial=0)",
    "np.add.accumulate(f)",
    "np.add.reduceat(f, [0, 1])",
    "np.add.reduceat(a, f)",
    "np.add.outer(a, f)",
    "np.add.outer(f, a)",
    "also(np.add.at(a, [0, 1], f), a)",
    "also(np.add.at(f, [0, 1], 1), f)",
    "also(np.add.at(a, f, 1), a)",
    "np.frompyfunc(lambda x, y: x, 2, 1)(a, f)",
    "np.vectorize(lambda x, y: x)(a, f)",
    "np.divmod(a, f)",
    "np.divmod(f, a)",
    "np.add(a, f, dtype=object)",
    "np.isnat(f)",
    "np.ldexp(f, i)",
]

FUNCTIONS = [
    *(
        f"np.{name}([{pair}])"
        for name in ("concatenate", "stack", "hstack", "vstack", "block")
        for pair in ("a, f", "f, a", "f, f")
    ),
    "np.concatenate([a, f], axis=None)",
    "np.concatenate([a, f], dtype='f4')",
    "np.concatenate([a, f], out=np.empty(a.size * 2))",
    "np.concatenate([a, a], out=f)",
    "np.concatenate(f)",
    "np.append(a, f)",
    "np.append(f, a)",
    "np.where(b, a, f)",
    "np.where(b, f, a)",
    "np.where(f, a, 0)",
    "np.where(f > 1, f, a)",
    "np.where(f)",
    "np.dot(a, f)",
    "np.dot(f, a)",
    "np.dot(a, f, out=a)",
    "np.inner(a, f)",
    "np.outer(f, a)",
    "np.vdot(a, f)",
    "np.tensordot(a, f, 1)",
    "np.einsum('i...,i...->...', a, f)",
    "np.einsum('...->...', f)",
    "np.kron(a, f)",
    "np.cross(a, f)",
    *(
        f"np.{name}(f)"
        for name in (
            "sum",
            "prod",
            "mean",
            "std",
            "var",
            "min",
            "max",
            "amax",
            "ptp",
            "any",
            "all",
            "argmax",
            "argmin",
            "argsort",
            "sort",
            "unique",
            "unique_values",
            "median",
            "nansum",
            "nanmean",
            "nanmax",
            "nanmin",
            "nan_to_num",
            "cumsum",
            "cumulative_sum",
            "diff",
            "round",
            "count_nonzero",
            "nonzero",
            "flatnonzero",
            "argwhere",
            "ravel",
            "transpose",
            "squeeze",
            "flip",
            "copy",
            "atleast_1d",
            "atleast_2d",
            "asarray",
            "asanyarray",
            "array",
            "ascontiguousarray",
            "asfortranarray",
            "require",
            "zeros_like",
            "ones_like",
            "shape",
            "ndim",
            "size",
            "result_type",
            "min_scalar_type",
            "isscalar",
            "isreal",
            "isrealobj",
            "iscomplexobj",
            "real",
            "imag",
            "angle",
            "fix",
            "isneginf",
            "real_if_close",
            "histogram",
            "bincount",
            "gradient",
            "trapezoid",
            "diag",
            "triu",
            "trace",
            "cov",
            "asarray_chkfinite",
            "array_repr",
            "array_str",
            "array2string",
            "linalg.norm",
            "linalg.inv",
            "linalg.det",
            "linalg.svd",
            "linalg.eigvalsh",
            "fft.fft",
            "fft.rfft",
            "fft.fftshift",
            "iterable",
            "unwrap",
            "i0",
            "sinc",
            "ediff1d",
            "poly",
            "from_dlpack",
            "frombuffer",
            "tril_indices_from",
        )
    ),
    "np.sum(a, out=f)",
    "np.sum(a, axis=0, out=f)",
    "np.sum(f, axis=0)",
    "np.sum(f, axis=-1, keepdims=True)",
    "np.sum(f, dtype='f4')",
    "np.sum(f, where=b)",
    "np.sum(a, where=f)",
    "np.sum(a, initial=f)",
    "np.mean(f, axis=0)",
    "np.mean(f, out=np.empty(()))",
    "np.mean(a, where=f > 1)",
    "np.std(f, ddof=1)",
    "np.std(a, mean=f)",
    "np.max(f, axis=0, initial=2)",
    "np.argmax(f, axis=0)",
    "np.argmax(a, out=f)",
    "np.median(f, axis=0)",
    "np.percentile(f, 50)",
    "np.percentile(a, f)",
    "np.quantile(f, a / 10)",
    "np.average(a, weights=f)",
    "np.average(f, weights=a)",
    "np.clip(f, 1, 2)",
    "np.clip(a, f, 3)",
    "np.clip(a, 1, f)",
    "np.clip(a, 1, 2, out=f)",
    "np.clip(f, a, a + 1)",
    "np.sort(f, axis=0)",
    "np.lexsort([a, f])",
    "np.searchsorted(a, f)",
    "np.searchsorted(f, a)",
    "np.digitize(f, [1, 2])",
    "np.digitize(a, f)",
    "np.isin(a, f)",
    "np.isin(f, a)",
    "np.union1d(a, f)",
    "np.intersect1d(f, a)",
    "np.setdiff1d(a, f)",
    "np.unique(f, return_inverse=True, return_counts=True)",
    "np.histogram(a, bins=f)",
    "np.histogram(a, weights=f)",
    "np.histogram(f, bins=2, range=(0, 4))",
    "np.interp(f, a, a)",
    "np.interp(a, f, f)",
    "np.array_equal(a, f)",
    "np.array_equal(f, a)",
    "np.array_equiv(a, f)",
    "np.allclose(a, f)",
    "np.allclose(f, a)",
    "np.isclose(a, f)",
    "np.isclose(f, a, equal_nan=True)",
    "np.testing.assert_array_equal(a, f)",
    "np.testing.assert_allclose(f, a)",
    "np.asarray(f, dtype='f4')",
    "np.asarray(f, copy=True)",
    "np.asarray(f, copy=False)",
    "np.array(f, copy=None)",
    "np.array(f, subok=True)",
    "np.array(f, ndmin=3)",
    "np.array(f, dtype=object)",
    "np.array([f, f])",
    "np.array([a, f])",
    "np.array([f, None], dtype=object)",
    "np.asarray([[f], [f]])",
    "np.array(f, order='F')",
    "np.empty_like(f).shape",
    "np.full_like(f, 7)",
    "np.full_like(a, f)",
    "np.zeros_like(f, subok=False)",
    "np.ones_like(f, dtype='i4')",
    "np.zeros_like(a, shape=f)",
    "np.full(a.shape, f)",
    "np.full(3, f)",
    "also(np.copyto(a, f), a)",
    "also(np.copyto(f, a), f)",
    "also(np.copyto(a, f, where=b), a)",
    "also(np.copyto(a, 0, where=f), a)",
    "also(np.put(a, [0], f), a)",
    "also(np.putmask(a, f, 0), a)",
    "also(np.putmask(a, b, f), a)",
    "also(np.place(a, b, f), a)",
    "also(np.put_along_axis(a, i - 1, f, 0), a)",
    "also(np.fill_diagonal(f, 9), f)",
    "also(np.random.default_rng(0).shuffle(f), f)",
    "np.random.default_rng(0).permutation(f)",
    "np.random.default_rng(0).choice(f, 2)",
    "np.random.default_rng(0).normal(f, 1)",
    "np.random.default_rng(0).choice(a, 2, p=f)",
    "np.take(a, f)",
    "np.take(f, [0, 1])",
    "np.take_along_axis(f, i - 1, 0)",
    "np.choose([0, 1, 0], [a, f])",
    "np.select([b, ~b], [a, f])",
    "np.select([f > 1], [a])",
    "np.compress(f > 1, a)",
    "np.compress([True, False, True], f)",
    "np.extract(b, f)",
    "np.piecewise(f, [b], [lambda x: x + 1, 0])",
    "np.apply_along_axis(numpy.sum, 0, f)",
    "np.apply_over_axes(numpy.sum, f, 0)",
    "np.broadcast_arrays(a, f)",
    "np.broadcast_arrays(a, f, subok=True)",
    "np.broadcast_to(f, (2, *a.shape))",
    "np.broadcast(a, f).shape",
    "np.broadcast_shapes(a.shape, numpy.shape(f))",
    "np.reshape(f, -1)",
    "np.reshape(a, f)",
    "np.expand_dims(f, 0)",
    "np.swapaxes(f, 0, -1)",
    "np.moveaxis(f, 0, -1)",
    "np.roll(f, 1)",
    "np.tile(f, 2)",
    "np.tile(a, f)",
    "np.repeat(f, 2)",
    "np.repeat(a, f)",
    "np.pad(f, 1)",
    "np.pad(a, 1, constant_values=f)",
    "np.split(f, 3)",
    "np.array_split(f, 2)",
    "np.insert(a, 1, f)",
    "np.insert(f, 1, 0, axis=0)",
    "np.delete(a, f)",
    "np.delete(f, 0, axis=0)",
    "np.resize(f, (2, 2))",
    "np.trim_zeros(f)",
    "np.convolve(a, f)",
    "np.correlate(f, a)",
    "np.polyfit(a, f, 1)",
    "np.polyval(f, a)",
    "np.poly1d(f)(a)",
    "np.corrcoef(a, f)",
    "np.meshgrid(a, f)",
    "np.ix_(f)",
    "np.linspace(a, f, 3)",
    "np.linspace(f, 5, 3)",
    "np.arange(f)",
    "np.zeros(f)",
    "np.linalg.solve(a, f)",
    "np.linalg.solve(f, a)",
    "np.linalg.lstsq(f, a)",
    "np.linalg.multi_dot([a, f, a])",
    "np.linalg.norm(f, axis=0)",
    "np.fft.ifft(np.fft.fft(f)).real",
    "np.result_type(a, f)",
    "np.result_type(f, np.float32)",
    "np.can_cast(f, 'f4')",
    "np.promote_types(f, 'f4')",
    "np.common_type(a, f)",
    "np.shares_memory(a, f)",
    "np.may_share_memory(f, a)",
    "np.fromiter(f, 'f8')",
    "np.nditer([a, f]).shape",
    "list(np.ndindex(f))",
    "[x for _, x in np.ndenumerate(f)]",
    "np.r_[a, f]",
    "np.r_[f, 0]",
    "np.c_[a, f]",
    "np.s_[f]",
    "np.unravel_index(f, (5, 5))",
    "np.ravel_multi_index((f, f), (9, 9))",
    "np.lib.stride_tricks.sliding_window_view(f, 2, axis=0)",
    "np.lib.stride_tricks.as_strided(f)",
    "np.array(a, like=f)",
    "np.ones(3, like=f)",
    "np.asarray([1.0], like=f)",
    "np.ma.add(a, f)",
    "np.ma.asarray(f)",
    "np.ma.array(a, mask=f)",
    "np.ma.concatenate([a, f])",
    "np.ma.masked_where(f, a)",
    "np.ma.where(b, a, f)",
    "np.strings.upper(f)",
    "np.char.add(f, 'x')",
    "np.bmat([[f, f]])",
    "np.isfortran(f)",
    "np.iscomplex(f)",
    "np.astype(f, 'f4')",
    "np.matrix_transpose(f)",
    "np.vander(f)",
    "np.nanpercentile(f, 50)",
    "np.nanstd(f)",
    "np.rot90(f)",
    "np.histogram2d(a, f)",
    "np.histogram_bin_edges(f)",
    "also(np.save(file := io.BytesIO(), f), file.seek(0), np.load(file))[2:]",
    "also(np.savetxt(file := io.BytesIO(), f), file.getvalue())",
    "isinstance(f, np.ndarray)",
    "issubclass(type(f), np.ndarray)",
    "isinstance(np.asarray(f), np.ndarray)",
    "np.ndarray((2,), 'f8', f).shape",
    "np.dtype(f)",
]

#: May give an array that the foreign object holds: that stays what it is, as a plain argument does.
HELD = {
    *(
        f"np.{name}(f)"
        for name in (
            "asarray",
            "asanyarray",
            "ascontiguousarray",
            "asfortranarray",
            "asarray_chkfinite",
            "require",
            "atleast_1d",
            "atleast_2d",
            "real",
            "real_if_close",
            "squeeze",
        )
    ),
    "np.asarray(f, copy=False)",
    "np.array(f, copy=None)",
    "np.broadcast_arrays(a, f)",
    "np.broadcast_arrays(a, f, subok=True)",
    "np.histogram(a, bins=f)",
    "np.full_like(a, f)",
    "np.random.default_rng(0).permutation(f)",
    "np.s_[f]",
    "also(np.random.default_rng(0).shuffle(f), f)",
}

#: torch takes an index as an array only if its class is exactly numpy.ndarray, else as a sequence.
UNREACHABLE = {("torch.Tensor:2-d", text) for text in ("f[b]", "f[i - 1]", "f[a]", "put(a, b, f[b])")}
#: astropy passes what it is given on to NumPy's array(), which fails for every subclass of numpy.ndarray.
UNREACHABLE |= {(f"astropy.Quantity{kind}", "np.array(a, like=f)") for kind in ("", ":plain", ":angle")}


def case(kind: Kind, expression: str, over: str, module: str, own: bool) -> Callable[[Any], Any]:
    """The same expression for both libraries; the foreign object holds our array or a plain one."""

    def body(xp: Any) -> Any:
        d = kind.data()
        scope = {
            "np": xp if module == "own" else numpy,
            "a": mine(xp, d.copy()),
            "b": mine(xp, d > 1),
            "i": mine(xp, d.astype("i8") % 3 + 1),
            "f": kind.make(xp, mine(xp, d) if over == "over ours" else d),
        }
        return answer(expression, scope, own)

    return body


def combinations() -> list[Any]:
    return [
        pytest.param(name, over, id=f"{name}-{over}")
        for name, kind in KINDS.items()
        for over in (("plain", "over ours") if kind.over else ("plain",))
    ]


def run_all(name: str, over: str, expressions: Sequence[str], module: str, own: bool) -> None:
    kind = KINDS[name]
    need(kind.module)
    found = Mismatches()
    for expression in expressions:
        if (name, expression) in UNREACHABLE:
            continue
        mine_ = own and expression not in HELD
        found.check(f"{name} ({over}): {expression}", case(kind, expression, over, module, mine_), NEAR)
    found.done(len(expressions) // 2)


@pytest.mark.parametrize(("name", "over"), combinations())
def test_our_array_on_the_left(name: str, over: str) -> None:
    run_all(name, over, OURS_LEFT, "own", not KINDS[name].answers)


@pytest.mark.parametrize(("name", "over"), combinations())
def test_explicit_calls(name: str, over: str) -> None:
    kind = KINDS[name]
    need(kind.module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # numpy.matrix
        made = kind.make(numpy, kind.data())
    if not isinstance(made, numpy.ndarray):
        run_all(name, over, EXPLICIT, "own", not kind.answers)


@pytest.mark.parametrize(("name", "over"), combinations())
def test_our_array_on_the_right(name: str, over: str) -> None:
    run_all(name, over, FOREIGN_LEFT, "own", False)


@pytest.mark.parametrize(("name", "over"), combinations())
def test_our_ufuncs(name: str, over: str) -> None:
    run_all(name, over, UFUNCS, "own", True)


@pytest.mark.parametrize(("name", "over"), combinations())
def test_our_functions(name: str, over: str) -> None:
    run_all(name, over, FUNCTIONS, "own", True)


@pytest.mark.parametrize(("name", "over"), combinations())
def test_numpys_ufuncs(name: str, over: str) -> None:
    run_all(name, over, UFUNCS, "numpy", False)


@pytest.mark.parametrize(("name", "over"), combinations())
def test_numpys_functions(name: str, over: str) -> None:
    run_all(name, over, FUNCTIONS, "numpy", False)


# ---- classes that derive from numpy.ndarray ------------------------------------------------------


class Told(numpy.ndarray):
    """Notes every call of its protocols and hooks, with the types it sees."""

    log: Any = None

    def __array_finalize__(self, obj: Any) -> None:
        self.log = getattr(obj, "log", None)
        if self.log is not None:
            self.log.append(("finalize", type(obj).__name__))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        self.log.append((ufunc.__name__, method, [type(x).__name__ for x in inputs], sorted(keywords)))
        return ufunc.__name__

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        self.log.append((func.__name__, sorted({t.__name__ for t in types}), len(args), sorted(kwargs)))
        return func.__name__


TOLD = [
    *(f"also({text}, f.log)" for text in OURS_LEFT if text.startswith(("a ", "i ", "b ", "divmod"))),
    *(f"also({text}, f.log)" for text in FOREIGN_LEFT if text.startswith(("f ", "divmod"))),
    *(f"also(operator.{name}(a, f), f.log)" for name in _IN_PLACE),
    *(f"also(operator.{name}(f, a), f.log)" for name in _IN_PLACE),
    *(f"also({text}, f.log)" for text in UFUNCS if text.startswith("np.") and "vectorize" not in text),
    *(
        f"also({text}, f.log)"
        for text in FUNCTIONS
        if text.startswith(("np.concat", "np.where", "np.dot", "np.clip", "np.sum", "np.isin", "np.sort"))
    ),
]


@pytest.mark.parametrize("module", ["own", "numpy"])
def test_what_a_subclass_is_told(module: str) -> None:
    """The same calls in the same order; NumPy's own arrays have the name of ours."""

    def told(xp: Any, d: Any) -> Any:
        f = d.view(Told)
        f.log = []
        return f

    found = Mismatches()
    for expression in TOLD:
        found.check(expression, case(Kind(told), expression, "plain", module, False))
    found.done(len(TOLD))


class Picky(numpy.ndarray):
    """Recognises arrays by their class alone, as several libraries do, and reads the dict of all others."""

    unit: Any = None

    def __array_finalize__(self, obj: Any) -> None:
        if obj is None or obj.__class__ is numpy.ndarray:
            return
        self.unit = obj.__dict__.get("unit")


PICKY = [
    "a.view(T)",
    "a[1:].view(T)",
    "a.view(type=T)",
    "a.view('i8', T)",
    "a.view(T).base is a",
    "np.asarray(a).view(T)",
    "np.array(a).view(T)",
    "numpy.asarray(a).view(T)",
    "numpy.array(a, subok=True).view(T)",
    "np.ndarray.view(a, T)",
    "T(a.shape, a.dtype, a)",
    "np.ndarray.__new__(T, a.shape, a.dtype, a)",
    "a + a.view(T)",
    "a.view(T) + a",
    "np.add(a, a.view(T))",
    "np.add(a, a, out=a.view(T))",
    "np.concatenate([a, a.view(T)])",
    "np.sqrt(a.view(T))",
    "a.view(T)[1:]",
    "a.view(T)[b]",
    "a.view(T).astype('f4')",
    "a.view(T).sum(axis=0, keepdims=True)",
    "a.view(T).copy()",
    "a.view(T).view(np.ndarray)",
    "np.zeros_like(a.view(T))",
    "np.broadcast_arrays(a, a.view(T), subok=True)",
    "a.view(T).__array_wrap__(a)",
    "np.lib.stride_tricks.as_strided(a.view(T), subok=True)",
    "pickle.loads(pickle.dumps(a.view(T)))",
]


def test_views_as_a_subclass_of_numpys() -> None:
    """__array_finalize__ of such a class sees the same class as under NumPy."""
    found = Mismatches()
    for expression in PICKY:

        def body(xp: Any, expression: str = expression) -> Any:
            d = numpy.arange(3.0)
            return answer(expression, {"np": xp, "a": mine(xp, d), "b": mine(xp, d > 1), "T": Picky}, False)

        found.check(expression, body)
    found.done(len(PICKY))
