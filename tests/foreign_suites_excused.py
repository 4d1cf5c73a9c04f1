"""Tests of other projects that raptors does not pass, each with its reason; none that passes is listed.

A key is a test, which covers all its parameters, or with a final `*` everything that begins so.
"""

from __future__ import annotations

EXCUSED: dict[str, str] = {}
