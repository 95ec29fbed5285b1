"""Numba's cache on disk, told when it is stale: a kernel depends on all files that its own file imports.

Numba takes a cached kernel for fresh as long as the file that defines it has not changed. But what it inlines,
emitted kernels and constants included, comes from other files; a harness that is to notice what a commit did to a
kernel's speed must never time yesterday's code. So here a kernel's stamp covers its file and, through their
imports, all files of this package that it is made from. Where the cache lies remains Numba's choice.

And told what it is looking for: a kernel that calls another one of its own function's making is filed under a
pickle of that other one, which is a new one in each process, so that it would be compiled in each. Here it is filed
under the other's name, if that is `named` after the numbers that it was made with.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

from numba import config as untyped_config
from numba.core.caching import Cache, InTreeCacheLocator, UserProvidedCacheLocator, UserWideCacheLocator
from numba.core.dispatcher import Dispatcher
from numba.core.serialize import dumps

config: Any = untyped_config
LOCATORS: Final[tuple[Any, ...]] = (UserProvidedCacheLocator, InTreeCacheLocator, UserWideCacheLocator)
PACKAGE: Final = Path(__file__).parent
_IMPORT: Final = re.compile(rf"^\s*from {PACKAGE.name}\.([\w.]+) import ", re.MULTILINE)


@cache
def _digest_and_imports(path: Path) -> tuple[bytes, tuple[Path, ...]]:
    source = path.read_bytes()
    modules = _IMPORT.findall(source.decode())
    return hashlib.sha256(source).digest(), tuple(
        PACKAGE.joinpath(*module.split(".")).with_suffix(".py") for module in modules
    )


@cache
def source_stamp(path: Path) -> bytes:
    """A digest of `path` and of all files of this package that it imports, directly or not."""
    found: dict[Path, bytes] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file not in found and file.is_file():
            found[file], imports = _digest_and_imports(file)
            waiting += imports
    return hashlib.sha256(b"".join(found[file] for file in sorted(found))).digest()


class KernelLocator:
    """Wherever Numba would keep a kernel of this package, with the stamp of all that it is made from."""

    @classmethod
    def from_function(cls, function: Any, file: str) -> Any:
        """Numba's own locator, with another stamp; None for functions from elsewhere, which it then treats as ever."""
        path = Path(file)
        if not path.is_relative_to(PACKAGE):
            return None
        for kind in LOCATORS:
            locator = kind.from_function(function, file)
            if locator is not None:
                locator.get_source_stamp = lambda: source_stamp(path)
                return locator
        return None


NUMBAS_KEY: Final[Any] = Cache._index_key


def named(function: Any, *numbers: int) -> Any:
    """A function that closes over these numbers, told apart by its name from others that close over other ones.

    Compiled code knows functions by their names: of two that are loaded from disk under the same, LLVM keeps one.
    """
    function.__qualname__ += "".join(f"_{number}" for number in numbers)
    function.made_with = numbers
    return function


def index_key(cache: Any, signature: Any, codegen: Any) -> Any:
    """What Numba files a compiled kernel under, with `named` kernels that it closes over by their names."""
    function = cache._py_func
    held = tuple(cell.cell_contents for cell in function.__closure__ or ())
    if not any(map(_is_named, held)):
        return NUMBAS_KEY(cache, signature, codegen)
    names = tuple(one.py_func.__qualname__ if _is_named(one) else one for one in held)
    parts = function.__code__.co_code, dumps(names)  # type: ignore[no-untyped-call]
    digests = (hashlib.sha256(part).hexdigest() for part in parts)
    return signature, codegen.magic_tuple(), tuple(digests)


def _is_named(value: Any) -> bool:
    return isinstance(value, Dispatcher) and hasattr(value.py_func, "made_with")


def install() -> None:
    """Make Numba ask `KernelLocator` first, and file kernels by `index_key`.

    Versions that know no such setting keep to their own rule.
    """
    Cache._index_key = index_key  # type: ignore[method-assign]
    own = f"{KernelLocator.__module__}.{KernelLocator.__qualname__}"
    usual = "UserProvidedCacheLocator,InTreeCacheLocator,UserWideCacheLocator,IPythonCacheLocator,ZipCacheLocator"
    if own not in (chosen := getattr(config, "CACHE_LOCATOR_CLASSES", "") or usual):
        config.CACHE_LOCATOR_CLASSES = f"{own},{chosen}"
