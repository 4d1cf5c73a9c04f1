"""The OpenBLAS of scipy-openblas64, for a private copy in the package.

openblas.py find                       prints its version, its library and its licence, separated by ";"
openblas.py copy LIBRARY TARGET NAME   copies the library and gives the copy a soname of its own

Without a name of its own the copy could be taken for another one in the process; without DT_SYMBOLIC its
calls of its own functions would go to a copy that another package has loaded globally.
"""

from __future__ import annotations

import os
import platform
import struct
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

LEAST = "0.3.33.112"  # products by several threads at once are right since then
REQUIREMENT = f"scipy-openblas64>={LEAST}"
OPTION = "cmake.define.RAPTORS_OPENBLAS"  # to decide it: OFF, or ON without a look at the index

DT_NULL, DT_STRTAB, DT_SONAME, DT_SYMBOLIC = 0, 5, 14, 16
PT_LOAD, PT_DYNAMIC = 1, 2


def is_to_be_had() -> bool:
    """Whether pip, as it is set up here, finds it."""
    options = ("--dry-run", "--ignore-installed", "--no-deps", "--no-input", "--disable-pip-version-check")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, REQUIREMENT],
        env={**os.environ, "PIP_REQUIRE_VIRTUALENV": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def requirements(settings: Mapping[str, str | list[str]] | None) -> list[str]:
    """What a build with these settings needs beside the requirements in pyproject.toml."""
    option = (settings or {}).get(OPTION)
    if option is not None:
        return [] if str(option).upper() in ("OFF", "0", "NO", "FALSE") else [REQUIREMENT]
    wheels = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
    return [REQUIREMENT] if wheels and is_to_be_had() else []


def numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def find() -> str:
    try:
        wheel = metadata.distribution("scipy-openblas64")
    except metadata.PackageNotFoundError:
        return ""
    if numbers(wheel.version) < numbers(LEAST):
        return ""
    files = {Path(file).name: str(wheel.locate_file(file)) for file in wheel.files or ()}
    library, licence = files.get("libscipy_openblas64_.so"), files.get("LICENSE.txt")
    return ";".join((wheel.version, library, licence)) if library and licence else ""


def copy(library: Path, target: Path, name: str) -> None:
    image = bytearray(library.read_bytes())
    if image[:6] != b"\x7fELF\x02\x01":
        sys.exit(f"{library} is no 64-bit little-endian ELF file")
    start, count = struct.unpack_from("<Q", image, 32)[0], struct.unpack_from("<H", image, 56)[0]
    segments = []  # type, offset, address, size in the file
    for i in range(count):
        kind, _, offset, address, _, size, _, _ = struct.unpack_from("<IIQQQQQQ", image, start + 56 * i)
        segments.append((kind, offset, address, size))
    offset, _, size = next(rest for kind, *rest in segments if kind == PT_DYNAMIC)
    entries = [struct.unpack_from("<qQ", image, offset + 16 * i) for i in range(size // 16)]
    values = dict(reversed(entries))
    strings = next(
        o + values[DT_STRTAB] - a
        for k, o, a, s in segments
        if k == PT_LOAD and a <= values[DT_STRTAB] < a + s
    )
    soname = strings + values[DT_SONAME]
    room = image.index(0, soname) - soname
    if len(name) > room:
        sys.exit(f"{name} is longer than {image[soname : soname + room].decode()}")
    image[soname : soname + room] = name.encode().ljust(room, b"\0")
    end = [tag for tag, _ in entries].index(DT_NULL)
    if len(entries) < end + 2:
        sys.exit(f"{library} has no room for DT_SYMBOLIC")
    struct.pack_into("<qQ", image, offset + 16 * end, DT_SYMBOLIC, 0)
    target.write_bytes(image)
    target.chmod(0o755)


if __name__ == "__main__":
    if sys.argv[1] == "find":
        print(find())
    else:
        copy(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
