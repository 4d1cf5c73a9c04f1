"""The decorator of tests that ask for NumPy's results: `numpy_parity`."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy
from helpers import DISABLED, EXACT, Outcome, Rules, compare, counted, difference, run, text_of

import raptors

Body = Callable[..., Any]


def attempt(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """What a call gives, or the class and text of its exception: one of several results of a body."""
    try:
        return function(*arguments, **keywords)
    except (AssertionError, NameError):  # the test's own
        raise
    except Exception as error:
        return type(error), text_of(error)


@dataclass
class Case:
    """One of those that a generator yields: a label, a result and, if it has its own, its rules."""

    label: Any
    result: Any
    rules: Rules | None = None


def _difference(expected: Any, got: Any, rules: Rules) -> str | None:
    """The first of the cases that differ, by its label."""
    for e, g in itertools.zip_longest(expected, got):
        if e is None or g is None or repr(e.label) != repr(g.label):
            return f"cases {g}, NumPy {e}"
        if problem := difference(e.result, g.result, e.rules or rules):
            return f"{e.label}: {problem}"
    return None


def _is_nothing(value: Any) -> bool:
    if isinstance(value, Case):
        return _is_nothing(value.result)
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
    of: str | tuple[str, ...] | Callable[..., str | tuple[str, ...]] = (),
    reason: str = "",
) -> Callable[[Body], Callable[..., None]]:
    """Makes a test of `body(xp, ...)`, which runs with NumPy as `xp` and then with raptors.

    Everything that a program can see has to be the same: what the body returns (arrays, scalars, and
    tuples, lists and dictionaries of them: values, dtypes, shapes, strides, flags), its warnings (class,
    text, place), its exception (class, text). A body that shows nothing fails.

    A body of many cases is a generator of a label and a result for each, `yield n, xp.ones(n)`, and of
    rules, if a case has its own. It must not raise: what may raise is called by `attempt`.

    `native`: the least native share of the calls that the call log counts while raptors runs; one call at
    least. None, with a `reason`: no call is counted, so both libraries run NumPy's code.
    `rules`: how strict the comparison of values is.
    `of`: the functions whose calls count; all if none is named.

    `native`, `rules` and `of` may be functions of the test's parameters, which they take by name. The body
    gets the same arguments twice, so it must not change them.
    """
    if native is None and not reason:
        raise TypeError("native=None needs a reason")

    def decorate(body: Body) -> Callable[..., None]:
        signature = inspect.signature(body)
        first, *others = signature.parameters.values()
        if first.name != "xp":
            raise TypeError(f"the first parameter of {body.__name__} has to be xp")
        has_cases = inspect.isgeneratorfunction(body)

        def outcome(library: Any, arguments: dict[str, Any]) -> Outcome:
            def call(xp: Any) -> Any:
                made = body(xp, **arguments)
                return [Case(*case) for case in made] if has_cases else made

            done = run(call, library)
            if done.error is not None and (has_cases or isinstance(done.error, (AssertionError, NameError))):
                raise done.error
            return done

        @functools.wraps(body)
        def test(**arguments: Any) -> None:
            expected = outcome(numpy, arguments)
            with counted() as count:
                got = outcome(raptors, arguments)
            how = _difference if has_cases else difference
            problem = compare(expected, got, _chosen(rules, arguments), how)
            assert problem is None, problem
            assert not _shows_nothing(expected), "nothing to compare: no result, no warning, no exception"
            if functions := _chosen(of, arguments):
                count = count.of(*((functions,) if isinstance(functions, str) else functions))
            share = _chosen(native, arguments)
            if share is None and not DISABLED:
                assert not count.total, f"calls are counted, so native= has to say their share: {count.rows}"
            else:
                count.require(share or 0.0)

        test.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
        return test

    return decorate
