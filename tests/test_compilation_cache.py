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


def called(package: Path) -> tuple[int, int]:
    """What the kernel gives in a fresh process, and how often it was compiled for that."""
    command = [sys.executable, "-c", CALL]
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
