"""A kernel is compiled anew when a file that it is made from has changed, and only then."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import convbench_algorithms.compilation_cache as module_under_test

CALL = "from convbench_algorithms.kernel import k; print(k(1), sum(k.stats.cache_misses.values()))"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package of the same name: a kernel, what it inlines, and what that takes a constant from."""
    folder = tmp_path / "convbench_algorithms"
    folder.mkdir()
    shutil.copy(module_under_test.__file__, folder)
    install = "from convbench_algorithms import compilation_cache\n\ncompilation_cache.install()\n"
    (folder / "__init__.py").write_text(install)
    (folder / "constants.py").write_text("N = 10\n")
    (folder / "inlined.py").write_text(
        "from numba import njit\nfrom convbench_algorithms.constants import N\n@njit\ndef f(x): return x + N\n"
    )
    (folder / "kernel.py").write_text(
        "from numba import njit\nfrom convbench_algorithms.inlined import f\n@njit(cache=True)\ndef k(x): return f(x)\n"
    )
    (folder / "unrelated.py").write_text("")
    return folder


def called(package: Path, call: str = CALL) -> tuple[int, int]:
    """What the kernel gives in a fresh process, and how often it was compiled for that."""
    command = [sys.executable, "-c", call]
    finished = subprocess.run(command, cwd=package.parent, capture_output=True, text=True, check=True)
    result, misses = finished.stdout.split()
    return int(result), int(misses)


def test_a_kernel_follows_the_files_that_it_is_made_from(package: Path) -> None:
    assert called(package) == (11, 1)
    assert called(package) == (11, 0)
    (package / "unrelated.py").write_text("# changed\n")
    assert called(package) == (11, 0)
    (package / "constants.py").write_text("N = 20\n")
    assert called(package) == (21, 1)
    assert called(package) == (21, 0)


def test_kernels_that_close_over_others_are_found_again_and_told_apart(package: Path) -> None:
    """Faults: Numba files them under a pickle that is another one in each process, and compiles them in each; of two
    that were compiled in different processes, what they close over had the same name, and one was called for both."""
    (package / "kernel.py").write_text(
        "from numba import njit\n"
        "from convbench_algorithms.compilation_cache import named\n"
        "def made(N):\n"
        "    def plain(x):\n"
        + "".join(f"        x = (x * N + {step}) % 1000003\n" for step in range(300))  # too long to be inlined
        + "        return x\n"
        "    inner = njit(cache=True)(named(plain, N))\n"
        "    @njit(cache=True)\n"
        "    def k(x): return inner(x)\n"
        "    return k\n"
    )
    making = "from convbench_algorithms.kernel import made; {}"
    one = "k = made({}); print(k(1), sum(k.stats.cache_misses.values()))"
    results = {}
    for number, misses in ((10, 1), (20, 1), (10, 0), (20, 0)):
        results[number], found = called(package, making.format(one.format(number)))
        assert found == misses
    misses = "sum((a.stats.cache_misses + b.stats.cache_misses).values())"
    both = making.format(f"a, b = made(10), made(20); print(a(1) * 1000003 + b(1), {misses})")
    assert called(package, both) == (results[10] * 1000003 + results[20], 0)
