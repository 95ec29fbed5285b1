"""The dispatch tables on disk, and the one that `algorithm="auto"` asks: this machine's, or the one that is shipped."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import platformdirs
from pydantic import ValidationError

from convbench import machine
from convbench.algorithm import ConvAlgorithm
from convbench.analysis.dispatch import SCHEMA_VERSION, Dispatcher, DispatchTable
from convbench.errors import ConvbenchError
from convbench.result import first_mistake

SHIPPED: Final = Path(__file__).with_name("dispatch.json")
"""Of another machine: what "auto" goes by until `convbench tune` has measured this one."""

MATTER: Final = ("convbench", "numpy", "scipy", "numba", "llvmlite", "pyfftw")
"""Libraries whose versions move a contender's time."""


class Known(NamedTuple):
    """A table, where it is from, and what speaks against it."""

    dispatcher: Dispatcher
    path: Path
    doubt: str


def contenders(known: Mapping[str, ConvAlgorithm]) -> tuple[str, ...]:
    """Whom "auto" chooses among: what runs on the CPU in full precision, allocates nothing, and is no other library."""
    return tuple(
        name
        for name, one in known.items()
        if one.device == "cpu" and one.precision == "strict" and not {"peer", "textbook", "allocates"} & one.tags
    )


def folder() -> Path:
    """Of the user's tables."""
    return platformdirs.user_data_path("convbench") / "dispatch"


def path_here() -> Path:
    """Of this machine's table with the libraries as they are."""
    versions = {name: version for name, version in machine.versions().items() if name in MATTER}
    digest = hashlib.sha256(repr(sorted(versions.items())).encode()).hexdigest()[:8]
    return folder() / f"{machine.fingerprint()}-{digest}.json"


def save(table: DispatchTable, path: Path) -> None:
    """Raises `ConvbenchError` where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.part")
        partial.write_text(table.model_dump_json(), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise ConvbenchError(f"{path}: cannot be written: {error.strerror}") from error
    known.cache_clear()


def read(path: Path) -> DispatchTable:
    """Raises `ConvbenchError` for a file that is no table, or one of another version."""
    try:
        table = DispatchTable.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConvbenchError(f"{path}: no dispatch table: {error.strerror}") from error
    except ValidationError as error:
        raise ConvbenchError(f"{path}: no dispatch table: {first_mistake(error)}") from error
    except ValueError as error:
        raise ConvbenchError(f"{path}: no dispatch table: {error}") from error
    if table.schema_version != SCHEMA_VERSION:
        raise ConvbenchError(
            f"{path}: a table of version {table.schema_version}; this convbench reads {SCHEMA_VERSION}"
        )
    return table


@lru_cache(maxsize=1)
def known() -> Known:
    """This machine's table; else its newest of other versions; else the shipped one."""
    mine = path_here()
    others = sorted(
        folder().glob(f"{machine.fingerprint()}-*.json"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for path in (mine, *others):
        try:
            doubt = "" if path == mine else "measured with other versions of libraries"
            return Known(Dispatcher(read(path)), path, doubt)
        except ConvbenchError:
            continue
    shipped = read(SHIPPED)
    here = shipped.machine.get("fingerprint") == machine.fingerprint()
    return Known(
        Dispatcher(shipped), SHIPPED, "shipped, of a machine like this" if here else "measured on another machine"
    )
