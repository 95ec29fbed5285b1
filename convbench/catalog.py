"""Every algorithm there is: the built-in ones, entry points, and plug-in files. The only importer of them."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import redirect_stdout
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final, final, get_args

from convbench.algorithm import ConvAlgorithm, Device, Precision
from convbench.errors import ConvbenchError, UnknownAlgorithmError, choices
from convbench.machine import Ceilings
from convbench.paths import is_file

ENTRY_POINT_GROUP: Final = "convbench.algorithms"
PLUGIN_PREFIX: Final = "convbench_plugin_"
"""Of the name under which a plug-in file is imported."""
LONGEST_NAME: Final = 80
"""Names become parts of files' names."""


@final
class Registry(Mapping[str, ConvAlgorithm]):
    """Name -> algorithm. What comes with convbench is imported when it is looked up: all of it takes two seconds."""

    def __init__(self) -> None:
        self._known: dict[str, ConvAlgorithm | str] = {}
        """The algorithm, or the place in which it waits to be imported."""

    def __getitem__(self, name: str) -> ConvAlgorithm:
        one = self._known[name]
        if isinstance(one, str):
            one = self._known[name] = _imported(one, name)
        return one

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    @property
    def brought(self) -> list[str]:
        """The names of those that are in plug-in files."""
        return [name for name, one in self._known.items() if type(one).__module__.startswith(PLUGIN_PREFIX)]

    def announce(self, name: str, place: str) -> None:
        """The algorithm at `module:Class`, which need not be imported for that."""
        self._known[name] = place

    def add(self, algorithm: object, place: str) -> None:
        """Raises `ConvbenchError`, which names the place, for what is no algorithm and for a name that is taken."""
        added = _checked(algorithm, place)
        if added.name in self:
            taken = type(self[added.name]).__module__
            raise ConvbenchError(f"{place}: the name '{added.name}' is taken by {taken}")
        self._known[added.name] = added


def builtin() -> Registry:
    """Those that come with convbench."""
    from convbench_algorithms import BUILTIN

    found = Registry()
    for line in BUILTIN:
        name, _, place = line.rpartition(" = ")
        if name:
            found.announce(name, place)
        else:  # a commit of before they had names
            found.add(_made(place), place)
    return found


def load(plugins: Iterable[Path] = ()) -> Registry:
    """The built-in algorithms, installed entry points, and the classes in plug-in files.

    Raises `ConvbenchError` for a plug-in that cannot be imported, holds no algorithm, or takes a name
    that is already there.
    """
    found = builtin()
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        try:
            algorithm = entry.load()()
        except Exception as error:
            raise ConvbenchError(f"entry point {entry.value}: {type(error).__name__}: {error}") from error
        found.add(algorithm, f"entry point {entry.value}")
    for path in plugins:
        for algorithm in _from_file(path):
            found.add(algorithm, str(path))
    return found


def chosen(plugins: Iterable[Path], names: Iterable[str]) -> dict[str, ConvAlgorithm]:
    """Those of `load` that a process is asked for, imported; names that are unknown are left out."""
    known = load(plugins)
    return {name: known[name] for name in names if name in known}


def find(algorithms: Mapping[str, ConvAlgorithm], name: str) -> ConvAlgorithm:
    """The algorithm of that name. Raises `UnknownAlgorithmError`, which lists those that there are."""
    if name not in algorithms:
        raise UnknownAlgorithmError(f"unknown algorithm '{name}'; valid: {choices(algorithms)}")
    return algorithms[name]


def ceilings(threads: int) -> Ceilings:
    """What this machine can do at most with `threads` threads, measured now: about a second."""
    from convbench_algorithms.ceilings import measure_ceilings

    return Ceilings(threads, *measure_ceilings(threads))


def card_ceilings() -> Ceilings | None:
    """What this machine's card can do at most, measured now; None where there is none.

    By a process of its own, with which the memory goes that it takes of the card.
    """
    words = [sys.executable, "-P", "-m", "convbench_algorithms.cuda.ceilings"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603
    found = json.loads(done.stdout) if done.returncode == 0 else None
    if not found:
        return None
    multiply_adds, copied, products = found["rates"]
    return Ceilings(1, multiply_adds, copied, products, found["name"])


def _from_file(path: Path) -> list[ConvAlgorithm]:
    if not is_file(path):
        raise ConvbenchError(f"{path}: no such plug-in file")
    name = f"{PLUGIN_PREFIX}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConvbenchError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with redirect_stdout(sys.stderr):  # stdout is for what was asked for
            spec.loader.exec_module(module)
        classes = [c for c in vars(module).values() if _is_algorithm(c) and c.__module__ == name]
        algorithms = [c() for c in classes]
    except (Exception, SystemExit) as error:
        own = [frame for frame in inspect.trace() if Path(frame.filename).resolve() == path.resolve()]
        line = f":{own[-1].lineno}" if own else ""
        raise ConvbenchError(f"{path}{line}: {type(error).__name__}: {error}") from error
    if not algorithms:
        raise ConvbenchError(f"{path}: holds no subclass of convbench.algorithm.ConvAlgorithm")
    return algorithms


def _is_algorithm(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, ConvAlgorithm) and not inspect.isabstract(value)


def _imported(place: str, name: str) -> ConvAlgorithm:
    algorithm = _checked(_made(place), place)
    if algorithm.name != name:
        raise ConvbenchError(f"{place}: its name is '{algorithm.name}', and '{name}' in the list")
    return algorithm


def _made(place: str) -> object:
    module, _, kind = place.partition(":")
    return getattr(importlib.import_module(module), kind)()


def _checked(algorithm: object, place: str) -> ConvAlgorithm:
    if not isinstance(algorithm, ConvAlgorithm):
        raise ConvbenchError(f"{place}: is not a convbench.algorithm.ConvAlgorithm")
    name = getattr(algorithm, "name", None)
    if not isinstance(name, str) or not name.replace("_", "").replace("-", "").isalnum() or len(name) > LONGEST_NAME:
        raise ConvbenchError(f"{place}: its name {name!r} must be letters, digits, '_' or '-', at most {LONGEST_NAME}")
    for attribute, valid in (("device", get_args(Device)), ("precision", get_args(Precision))):
        value = getattr(algorithm, attribute)
        if value not in valid:
            raise ConvbenchError(f"{place}: {name}.{attribute} is {value!r}; valid: {choices(valid)}")
    if not isinstance(algorithm.tags, Set) or not all(isinstance(tag, str) for tag in algorithm.tags):
        raise ConvbenchError(f"{place}: {name}.tags is {algorithm.tags!r}; expected a set of words")
    return algorithm
