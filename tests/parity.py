"""The decorator of tests that ask for NumPy's results: `numpy_parity`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy
from helpers import DISABLED, EXACT, Outcome, Rules, compare, counted, run, text_of

import raptors

Body = Callable[..., Any]


def attempt(call: Callable[[], Any]) -> Any:
    """What a call gives, or the class and text of its exception: one of several results of a body."""
    try:
        return call()
    except Exception as error:
        return type(error), text_of(error)


def _is_nothing(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_nothing(item) for item in value.values())
    if isinstance(value, (tuple, list)):
        return all(_is_nothing(item) for item in value)
    return value is None


def _shows_nothing(outcome: Outcome) -> bool:
    return outcome.error is None and not outcome.warned and _is_nothing(outcome.value)


def _chosen(setting: Any, arguments: dict[str, Any]) -> Any:
    """A setting, or what a function makes of those of the test's parameters that it names."""
    if not callable(setting):
        return setting
    return setting(**{name: arguments[name] for name in inspect.signature(setting).parameters})


def numpy_parity(
    *,
    native: float | None | Callable[..., float | None] = 1.0,
    rules: Rules | Callable[..., Rules] = EXACT,
    of: str | tuple[str, ...] = (),
    reason: str = "",
) -> Callable[[Body], Callable[..., None]]:
    """Makes a test of `body(xp, ...)`, which runs with NumPy as `xp` and then with raptors.

    Everything that a program can see has to be the same: what the body returns (arrays, scalars, and
    tuples, lists and dictionaries of them: values, dtypes, shapes, strides, flags), its warnings (class,
    text, place), its exception (class, text). A body that shows nothing fails.

    `native`: the least native share of the calls that the call log counts while raptors runs; one call at
    least. None, with a `reason`: no call is counted, so both libraries run NumPy's code.
    `rules`: how strict the comparison of values is.
    `of`: the functions whose calls count; all if none is named.

    `native` and `rules` may be functions of the test's parameters, which they take by name. The body gets
    the same arguments twice, so it must not change them.
    """
    if native is None and not reason:
        raise TypeError("native=None needs a reason")
    functions = (of,) if isinstance(of, str) else of

    def decorate(body: Body) -> Callable[..., None]:
        signature = inspect.signature(body)
        first, *others = signature.parameters.values()
        if first.name != "xp":
            raise TypeError(f"the first parameter of {body.__name__} has to be xp")

        @functools.wraps(body)
        def test(**arguments: Any) -> None:
            expected = run(lambda xp: body(xp, **arguments), numpy)
            with counted() as count:
                got = run(lambda xp: body(xp, **arguments), raptors)
            problem = compare(expected, got, _chosen(rules, arguments))
            assert problem is None, problem
            assert not _shows_nothing(expected), "nothing to compare: no result, no warning, no exception"
            if functions:
                count = count.of(*functions)
            share = _chosen(native, arguments)
            if share is None and not DISABLED:
                assert not count.total, f"calls are counted, so native= has to say their share: {count.rows}"
            else:
                count.require(share or 0.0)

        test.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return test

    return decorate
