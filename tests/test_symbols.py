"""What the compiled files may contain.

A kernel is compiled several times with other instruction sets, and the linker keeps one copy of
every function that has the same name: a shared inline function, or an initialiser that runs at load
time, would execute instructions that the CPU may not have. Each check is also run on a planted
violation.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import native
import pytest

ISAS = ("scalar", "avx2", "avx512", "neon")
X86 = platform.machine() in ("x86_64", "AMD64")

pytestmark = [
    pytest.mark.skipif(
        shutil.which("nm") is None or shutil.which("objdump") is None, reason="needs binutils"
    ),
    pytest.mark.timeout(native.BUILD_SECONDS),
]


# ---- reading object files


def output(*command: str | Path) -> str:
    return native.run(*command).stdout


def symbols(path: Path, *options: str) -> Iterator[tuple[str, str]]:
    """(type letter of nm, demangled name)."""
    for line in output("nm", "-C", *options, path).splitlines():
        found = re.match(r"^[0-9a-f ]* ([A-Za-z?]) (.+)$", line)
        if found:
            yield found[1], found[2]


def sections(path: Path) -> set[str]:
    return set(re.findall(r"^\s*\d+ (\S+)", output("objdump", "-h", path), re.MULTILINE))


# ---- the checks: each returns what it objects to


def weak_symbols(path: Path) -> list[str]:
    """Functions and variables of which the linker would keep one copy for all instruction sets."""
    return [name for kind, name in symbols(path, "--defined-only") if kind in "WVu"]


def load_time_code(path: Path) -> list[str]:
    """Sections whose code runs when the library is loaded, before any check of the CPU."""
    return [
        s
        for s in sections(path)
        if s.startswith((".init_array", ".ctors", ".preinit_array", ".fini_array", ".dtors"))
    ]


def outside_namespace(path: Path, isa: str) -> list[str]:
    """External definitions that do not lie in the namespace of the instruction set."""
    return [
        name
        for kind, name in symbols(path, "--defined-only", "--extern-only")
        if not name.startswith(f"raptors::{isa}::")
    ]


def needs_other_cpp(path: Path, isa: str) -> list[str]:
    """C++ functions from outside that a kernel calls: another namespace, the C++ library, the allocator."""
    undefined = [name for _, name in symbols(path, "--undefined-only")]
    foreign = re.compile(r"::|^operator |^__cxa|^_Z|\(")
    return [name for name in undefined if foreign.search(name) and not name.startswith(f"raptors::{isa}::")]


def wide_registers(path: Path) -> list[str]:
    """Instructions beyond the baseline: VEX and EVEX forms, or registers of AVX and AVX-512."""
    beyond = re.compile(
        r"%[yz]mm|%xmm(1[6-9]|2\d|3[01])|\t\s*v[a-z0-9]+\s[^<]*%xmm|\{%k[0-7]\}|\tk(mov|or|and)[bwdq]\s"
    )
    return [
        line.strip()
        for line in output("objdump", "-d", "--no-show-raw-insn", path).splitlines()
        if beyond.search(line)
    ]


ALLOWED_LIBRARIES = re.compile(
    r"^(libstdc\+\+|libm|libgcc_s|libc|libpthread|libdl|librt|ld-linux[-\w]*)\.so(\.\d+)*$"
)
ALLOWED_VERSIONS = re.compile(r"@(GLIBC|GLIBCXX|CXXABI|GCC)_")
ALLOWED_UNVERSIONED = re.compile(r"^(_?Py[A-Z_]|_ITM_|__gmon_start__$|__cxa_finalize$|__tls_get_addr$)")


def foreign_imports(path: Path) -> list[str]:
    """Libraries and symbols that are neither the C and C++ run time's nor Python's."""
    dynamic = output("readelf", "-dW", path)
    libraries = [x for x in re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic) if not ALLOWED_LIBRARIES.match(x)]
    undefined = [name for _, name in symbols(path, "-D", "--undefined-only")]
    return libraries + [
        n for n in undefined if not ALLOWED_VERSIONS.search(n) and not ALLOWED_UNVERSIONED.match(n)
    ]


def fast_math_start(path: Path) -> list[str]:
    """Start-up code of -ffast-math, which makes the whole process flush subnormal numbers to zero."""
    named = (
        [name for _, name in symbols(path) if "set_fast_math" in name]
        if ".symtab" in output("readelf", "-SW", path)
        else []
    )
    code = output("objdump", "-d", "--no-show-raw-insn", path)
    return named + re.findall(r"^.*\bor[lw]?\s+\$0x8040,.*$", code, re.MULTILINE)


def soft_spots(path: Path) -> list[str]:
    """What makes a library easier to attack: writable code, late binding, foreign search paths."""
    headers, dynamic = output("readelf", "-lW", path), output("readelf", "-dW", path)
    found = []
    for line in headers.splitlines():
        segment = re.match(r"^\s+(\w+)\s+0x[0-9a-f]+ .* ([R ])([W ])([E ])\s+0x[0-9a-f]+\s*$", line)
        if segment and segment[3] == "W" and segment[4] == "E":
            found.append(f"{segment[1]} is writable and executable")
    if "GNU_STACK" not in headers:
        found.append("executable stack")
    if "GNU_RELRO" not in headers:
        found.append("no RELRO")
    if "BIND_NOW" not in dynamic and not re.search(r"FLAGS_1\).*NOW", dynamic):
        found.append("RELRO is not full: symbols are bound late")
    if re.search(r"\((RPATH|RUNPATH)\)(?!.*\[\$ORIGIN)", dynamic):
        found.append("search path")
    if "TEXTREL" in dynamic:
        found.append("text relocations")
    return found


def own_exports(path: Path) -> list[str]:
    """Symbols that another library in the process could collide with: all but the module's entry."""
    return [n for _, n in symbols(path, "-D", "--defined-only") if n != "PyInit__raptors_core"]


# ---- the files


@pytest.fixture(scope="module")
def objects(pytestconfig: pytest.Config) -> list[Path]:
    folder = native.build(native.build_folder(pytestconfig))
    found = [p for p in sorted(folder.rglob("*.o")) if "src/kernels" in p.as_posix()]
    assert found
    return found


def isa_of(path: Path) -> str | None:
    found = re.search(rf"raptors_\w+_({'|'.join(ISAS)})\.dir", path.as_posix())
    return found[1] if found else None


@pytest.fixture(scope="module")
def isa_objects(objects: list[Path]) -> list[tuple[Path, str]]:
    found = [(p, isa) for p in objects if (isa := isa_of(p))]
    wanted = {"scalar", "avx2", "avx512"} if X86 else {"scalar", "neon"}
    assert {isa for _, isa in found} == wanted
    return found


@pytest.fixture(scope="module")
def baseline_objects(objects: list[Path]) -> list[Path]:
    found = [p for p in objects if isa_of(p) is None]
    assert {"dispatch.cpp.o", "cpu.cpp.o"} <= {p.name for p in found}
    return found


@pytest.fixture(scope="module")
def extension() -> Path:
    import raptors._raptors_core

    return Path(raptors._raptors_core.__file__)


@pytest.fixture(scope="module")
def binding_objects() -> list[Path]:
    """Left behind by `pip install .` in this checkout."""
    found = sorted((native.ROOT / "build").glob("*/src/bindings/CMakeFiles/*.dir/**/*.o"))
    if not found:
        assert not os.environ.get("CI"), "no object files of the bindings: install from this checkout first"
        pytest.skip("raptors was not installed from this checkout")
    return found


def test_isa_objects_have_no_weak_symbols(isa_objects: list[tuple[Path, str]]) -> None:
    assert {p.name: bad for p, _ in isa_objects if (bad := weak_symbols(p))} == {}


def test_isa_objects_run_nothing_at_load_time(isa_objects: list[tuple[Path, str]]) -> None:
    assert {p.name: bad for p, _ in isa_objects if (bad := load_time_code(p))} == {}


def test_isa_objects_stay_in_their_namespace(isa_objects: list[tuple[Path, str]]) -> None:
    assert {p.name: bad for p, isa in isa_objects if (bad := outside_namespace(p, isa))} == {}


def test_isa_objects_call_only_c(isa_objects: list[tuple[Path, str]]) -> None:
    assert {p.name: bad for p, isa in isa_objects if (bad := needs_other_cpp(p, isa))} == {}


@pytest.mark.skipif(not X86, reason="registers of x86")
def test_isa_objects_use_their_registers(isa_objects: list[tuple[Path, str]]) -> None:
    """The flags arrive: a kernel compiled for AVX2 without AVX2 would pass every other test."""
    wide = {isa: 0 for _, isa in isa_objects}
    for path, isa in isa_objects:
        wide[isa] += len(wide_registers(path))
    assert wide.pop("scalar") == 0
    assert all(wide.values()), wide


@pytest.mark.skipif(not X86, reason="registers of x86")
def test_baseline_objects_have_no_wide_registers(baseline_objects: list[Path]) -> None:
    assert {p.name: bad[:5] for p in baseline_objects if (bad := wide_registers(p))} == {}


@pytest.mark.skipif(not X86, reason="registers of x86")
def test_bindings_have_no_wide_registers(binding_objects: list[Path]) -> None:
    assert {p.name: bad[:5] for p in binding_objects if (bad := wide_registers(p))} == {}


def test_extension_imports_only_the_run_time(extension: Path) -> None:
    assert foreign_imports(extension) == []


def test_extension_exports_nothing_of_its_own(extension: Path) -> None:
    assert own_exports(extension) == []
    assert "PyInit__raptors_core" in {name for _, name in symbols(extension, "-D", "--defined-only")}


def test_extension_leaves_floating_point_modes_alone(extension: Path) -> None:
    assert fast_math_start(extension) == []


def test_extension_is_hardened(extension: Path) -> None:
    assert soft_spots(extension) == []


# ---- planted violations


@pytest.fixture
def compiled(tmp_path: Path) -> Callable[..., Path]:
    compiler = os.environ.get("CXX") or shutil.which("c++") or native.tool("g++")

    def compile_(source: str, *flags: str, shared: bool = False) -> Path:
        file = tmp_path / "planted.cpp"
        file.write_text(source)
        target = tmp_path / ("planted.so" if shared else "planted.o")
        mode = ["-shared", "-fPIC"] if shared else ["-c", "-fPIC"]
        native.run(*compiler.split(), "-std=c++20", "-O1", *mode, *flags, file, "-o", target)
        return target

    return compile_


CLEAN = "namespace raptors::avx2 { int kernel(int x) { return x + 1; } }\n"


def test_clean_object_passes(compiled: Callable[..., Path]) -> None:
    path = compiled(CLEAN)
    assert weak_symbols(path) == load_time_code(path) == outside_namespace(path, "avx2") == []
    assert needs_other_cpp(path, "avx2") == []
    if X86:
        assert wide_registers(path) == []


@pytest.mark.parametrize(
    "source",
    [
        "template <class T> __attribute__((noinline)) T twice(T x) { return x + x; }"
        "int use(int x) { return twice(x); }",
        "inline int counter; int use() { return ++counter; }",
        "struct S { virtual ~S() {} virtual int f() { return 1; } }; S* make() { return new S; }",
        "inline int next() { static int n; return ++n; } int (*use())() { return next; }",
    ],
    ids=["template", "inline variable", "virtual table", "static local"],
)
def test_planted_weak_symbol(compiled: Callable[..., Path], source: str) -> None:
    assert weak_symbols(compiled(f"namespace raptors::avx2 {{ {source} }}"))


def test_planted_initialiser(compiled: Callable[..., Path]) -> None:
    assert load_time_code(compiled("int now(); namespace raptors::avx2 { int start = now(); }"))


@pytest.mark.parametrize(
    "source",
    [
        "int stray() { return 1; }",
        'extern "C" int stray;  int stray = 1;',
        "namespace raptors { int stray() { return 1; } }",
    ],
)
def test_planted_name_outside_namespace(compiled: Callable[..., Path], source: str) -> None:
    assert len(outside_namespace(compiled(CLEAN + source), "avx2")) == 1


@pytest.mark.parametrize(
    "source",
    [
        "int* make() { return new int(3); }",
        "void fail() { throw 1; }",
        "} namespace raptors { int shared(int); }"
        "namespace raptors::avx2 { int use(int x) { return shared(x); }",
    ],
    ids=["new", "throw", "baseline function"],
)
def test_planted_foreign_call(compiled: Callable[..., Path], source: str) -> None:
    assert needs_other_cpp(compiled(f"namespace raptors::avx2 {{ {source} }}"), "avx2")


@pytest.mark.skipif(not X86, reason="registers of x86")
@pytest.mark.parametrize(
    ("flags", "body"),
    [
        (("-mavx2",), "__m256d f(__m256d x) { return _mm256_add_pd(x, x); }"),
        (("-mavx",), "__m128d f(__m128d x, __m128d y) { return _mm_add_pd(_mm_mul_pd(x, y), y); }"),
        (("-mavx512f",), "__m512d f(__m512d x) { return _mm512_add_pd(x, x); }"),
    ],
    ids=["ymm", "VEX xmm", "zmm"],
)
def test_planted_wide_register(compiled: Callable[..., Path], flags: tuple[str, ...], body: str) -> None:
    assert wide_registers(compiled(f"#include <immintrin.h>\n{body}", *flags))


def test_planted_foreign_library(compiled: Callable[..., Path], tmp_path: Path) -> None:
    stray = compiled('extern "C" int stray() { return 1; }', shared=True).rename(tmp_path / "libstray.so")
    using = compiled(
        'extern "C" int stray(); int use() { return stray(); }',
        "-Wl,--no-as-needed",
        "-L",
        str(tmp_path),
        "-lstray",
        shared=True,
    )
    assert stray.name in foreign_imports(using)
    assert "stray" in foreign_imports(using)
    assert foreign_imports(compiled(CLEAN, shared=True)) == []


@pytest.mark.skipif(not X86, reason="start-up code of x86")
@pytest.mark.parametrize("strip", ["", "-s"], ids=["with symbols", "stripped"])
def test_planted_fast_math(compiled: Callable[..., Path], strip: str) -> None:
    flags = [strip] if strip else []
    assert fast_math_start(compiled(CLEAN, *flags, shared=True)) == []
    path = compiled(CLEAN, "-ffast-math", *flags, shared=True)
    if (
        "set_fast_math" not in subprocess.run(["nm", path], capture_output=True, text=True).stdout
        and not strip
    ):
        pytest.skip("this compiler does not add it to libraries")
    assert fast_math_start(path)


HARD = ("-Wl,-z,relro,-z,now,-z,noexecstack",)


@pytest.mark.parametrize(
    "flag",
    ["-Wl,-z,norelro", "-Wl,-z,lazy", "-Wl,-z,execstack", "-Wl,-rpath,/somewhere"],
    ids=lambda flag: flag.rpartition(",")[2],
)
def test_planted_soft_spot(compiled: Callable[..., Path], flag: str) -> None:
    assert soft_spots(compiled(CLEAN, *HARD, shared=True)) == []
    assert soft_spots(compiled(CLEAN, *HARD, flag, shared=True))


def test_planted_export(compiled: Callable[..., Path]) -> None:
    assert own_exports(compiled(CLEAN, shared=True))
    assert own_exports(compiled(CLEAN, "-fvisibility=hidden", shared=True)) == []
