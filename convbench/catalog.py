"""Every algorithm there is: the built-in ones, entry points, and plug-in files. The only importer of them."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import subprocess
import sys
from collections.abc import Container, Iterable, Mapping, Set
from contextlib import redirect_stdout
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final, get_args

from convbench.algorithm import ConvAlgorithm, Device, Precision
from convbench.errors import ConvbenchError, UnknownAlgorithmError, choices
from convbench.machine import Ceilings
from convbench.paths import is_file

ENTRY_POINT_GROUP: Final = "convbench.algorithms"
PLUGIN_PREFIX: Final = "convbench_plugin_"
"""Of the name under which a plug-in file is imported."""
LONGEST_NAME: Final = 80
"""Names become parts of files' names."""


def builtin(names: Container[str] | None = None) -> dict[str, ConvAlgorithm]:
    """Name -> algorithm, for those that come with convbench: all, or those among `names`, and no others imported."""
    from convbench_algorithms import BUILTIN

    found: dict[str, ConvAlgorithm] = {}
    for line in BUILTIN:
        name, _, place = line.rpartition(" = ")
        if name and names is not None and name not in names:  # without a name: a commit of before they had them
            continue
        module, _, kind = place.partition(":")
        _add(found, getattr(importlib.import_module(module), kind)(), place)
    return found


def load(plugins: Iterable[Path] = (), names: Container[str] | None = None) -> dict[str, ConvAlgorithm]:
    """Name -> algorithm: the built-in ones, installed entry points, and the classes in plug-in files.

    Of the built-in ones only those among `names`, where there are any: importing all takes two seconds.

    Raises `ConvbenchError` for a plug-in that cannot be imported, holds no algorithm, or takes a name
    that is already there.
    """
    found = builtin(names)
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        try:
            algorithm = entry.load()()
        except Exception as error:
            raise ConvbenchError(f"entry point {entry.value}: {type(error).__name__}: {error}") from error
        _add(found, algorithm, f"entry point {entry.value}")
    for path in plugins:
        for algorithm in _from_file(path):
            _add(found, algorithm, str(path))
    return found


def find(algorithms: Mapping[str, ConvAlgorithm], name: str) -> ConvAlgorithm:
    """The algorithm of that name. Raises `UnknownAlgorithmError`, which lists those that there are."""
    try:
        return algorithms[name]
    except KeyError:
        raise UnknownAlgorithmError(f"unknown algorithm '{name}'; valid: {choices(algorithms)}") from None


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


def _add(found: dict[str, ConvAlgorithm], algorithm: object, place: str) -> None:
    if not isinstance(algorithm, ConvAlgorithm):
        raise ConvbenchError(f"{place}: is not a convbench.algorithm.ConvAlgorithm")
    name = getattr(algorithm, "name", None)
    if not isinstance(name, str) or not name.replace("_", "").replace("-", "").isalnum() or len(name) > LONGEST_NAME:
        raise ConvbenchError(f"{place}: its name {name!r} must be letters, digits, '_' or '-', at most {LONGEST_NAME}")
    if name in found:
        raise ConvbenchError(f"{place}: the name '{name}' is taken by {type(found[name]).__module__}")
    for attribute, valid in (("device", get_args(Device)), ("precision", get_args(Precision))):
        value = getattr(algorithm, attribute)
        if value not in valid:
            raise ConvbenchError(f"{place}: {name}.{attribute} is {value!r}; valid: {choices(valid)}")
    if not isinstance(algorithm.tags, Set) or not all(isinstance(tag, str) for tag in algorithm.tags):
        raise ConvbenchError(f"{place}: {name}.tags is {algorithm.tags!r}; expected a set of words")
    found[name] = algorithm
