"""What convbench reads from elsewhere, each as a function of bytes that returns, or raises what is a bug.

The only refusal that is none is a `ConvbenchError` of one readable line: `refusable` swallows it, and nothing else.
A target takes any bytes: those of a fuzzer, of `mutations`, or a file that was kept because it failed.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import islice
from keyword import iskeyword
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from convbench import catalog, describe, dispatching
from convbench.algorithm import ConvAlgorithm
from convbench.analysis.dispatch import Dispatcher
from convbench.errors import ConvbenchError
from convbench.operands import fit_image, load_image
from convbench.report.answers import Answers
from convbench.report.claims_page import claims_page
from convbench.report.compare import comparison, print_comparison
from convbench.report.folder import write_report
from convbench.report.html import comparison_page, page
from convbench.report.listings import print_algorithms
from convbench.report.markdown import summary
from convbench.report.terminal import print_answers
from convbench.result import Block
from convbench.spec import ConvSpec
from convbench.store import INFO, JOURNAL, RunFolder
from convbench.suite import load_suite
from fuzz.page import check_page

CUT: Final = b"\n=====\n"
"""Between run.json and the journal in the bytes of a `run`."""
LONGEST_LINE: Final = 4200
FIGURES_OF: Final = 64
"""One report in so many is written whole, figures and all: drawing takes a second."""
MOST_CELLS: Final = 2000
"""Of so many at most are the cells made; all of a suite's are counted."""
PROBLEMS: Final = ("n1c1h32w32k1r3s3", "c8h14w14k16r3s3+padding=1", "n8c64h56w56k64r1s1+stride=2")


told: Final[Counter[str]] = Counter()
"""How many inputs were read, and how many refused: a fuzzer whose every input is refused at the door tests the door."""


@contextmanager
def refusable() -> Iterator[None]:
    """What is read may be refused: by one line that can be printed."""
    try:
        yield
        told["read"] += 1
    except ConvbenchError as error:
        told["refused"] += 1
        line = str(error)
        assert line, "a refusal that says nothing"
        assert line.isprintable(), f"a refusal of several lines: {line!r}"
        assert len(line) <= LONGEST_LINE, f"a refusal of {len(line)} characters"


@cache
def scratch() -> Path:
    """A folder of this process's own."""
    held = tempfile.TemporaryDirectory(prefix="convbench-fuzz-")
    _kept.append(held)
    return Path(held.name)


@cache
def builtin() -> Mapping[str, ConvAlgorithm]:
    """The algorithms that suites may name."""
    return catalog.builtin()


_kept: list[tempfile.TemporaryDirectory[str]] = []


def written(name: str, raw: bytes) -> Path:
    """The bytes as a file."""
    path = scratch() / name
    path.write_bytes(raw)
    return path


def outside(folder: Path) -> set[Path]:
    """The files of the scratch folder that are not in this part of it."""
    return {path for path in scratch().rglob("*") if folder not in path.parents}


def text_of(raw: bytes) -> str:
    """The bytes as any text that a command line can hold, half pairs of surrogates among it."""
    return raw.decode("utf-8", "surrogateescape")


# --- suites and specs -------------------------------------------------------------------------------


def suite(raw: bytes) -> None:
    """A suite's file: its cells, contenders, limits and description."""
    path = written("suite.yaml", raw)
    with refusable():
        _use_suite(path)


def table(raw: bytes) -> None:
    """A CSV file that `shapes_from` names."""
    written("table.csv", raw)
    path = written("tabled.yaml", b"shapes_from: {file: table.csv, most_gflop: 1}")
    with refusable():
        _use_suite(path)


def _use_suite(path: Path) -> None:
    loaded = load_suite(path)
    known = builtin()
    loaded.gate_limits(known)
    selected = loaded.select(known)
    loaded.sides(known, selected, 2)
    loaded.claimed(selected)
    cells = loaded.cells(2)
    assert cells
    assert len({cell.key for cell in cells}) == len(cells)
    describe.describe_cells(islice(cells, MOST_CELLS))
    for cell in islice(cells, MOST_CELLS):
        assert ConvSpec.parse(cell.spec.id) == cell.spec
    if loaded.network is not None:
        describe.describe_network(loaded.network)
        describe.network_totals(loaded.network)


def spec(raw: bytes) -> None:
    """A spec on the command line."""
    with refusable():
        found = ConvSpec.parse(text_of(raw))
        assert ConvSpec.parse(found.id) == found
        describe.describe_spec(found)


# --- runs -------------------------------------------------------------------------------------------


def journal(raw: bytes) -> None:
    """A journal's bytes, under a good run.json: what is whole is read as it was written, and nothing is changed."""
    folder = scratch() / "torn"
    folder.mkdir(exist_ok=True)
    (folder / INFO).write_bytes(good_run().partition(CUT)[0])
    (folder / JOURNAL).write_bytes(raw)
    lines = raw.split(b"\n")[:-1]
    with refusable():
        read = RunFolder.open(folder)
        whole = {}
        for line in lines:
            block = Block.model_validate({k: v for k, v in json.loads(line).items() if k != "crc32"})
            whole[block.pass_index, block.cell, block.algorithm] = block
        assert [one.model_dump_json() for one in read.blocks] == [one.model_dump_json() for one in whole.values()]
    assert (folder / JOURNAL).read_bytes() == raw


def run(raw: bytes) -> None:
    """A run's two files, its journal with right checksums whatever it says, and every form of report of them."""
    folder = scratch() / "runs" / "here" / "run"
    folder.mkdir(parents=True, exist_ok=True)
    info, _, lines = raw.partition(CUT)
    (folder / INFO).write_bytes(info)
    (folder / JOURNAL).write_bytes(b"".join(map(sealed, lines.split(b"\n"))))
    with refusable():
        opened = RunFolder.open(folder)
        answers = Answers(opened.info, opened.blocks)
        check_page(page(answers))
        summary(answers)
        for terminal in (False, True):
            console = Console(file=io.StringIO(), force_terminal=terminal, width=120)
            print_answers(console, answers)
        claims_page([(folder, answers)], folder / "claims.md")
        other = Answers(*_good_answers())
        check_page(comparison_page(["one", "other"], [answers, other]))
        print_comparison(console, comparison(answers, other))
        if zlib.crc32(raw) % FIGURES_OF == 0:
            before = outside(folder)
            write_report(folder, opened.info, opened.blocks)
            assert outside(folder) == before


def sealed(line: bytes) -> bytes:
    """A line of a journal with the checksum that belongs to it; nothing of an empty one."""
    body = line.rstrip(b"\r")
    return body[:-1] + b',"crc32":%d}\n' % zlib.crc32(body[:-1] + b"}") if body else b""


@cache
def good_run() -> bytes:
    """A run that has a bit of everything, as the bytes that `run` takes."""
    from fuzz.seeds import rich_run

    return rich_run()


@cache
def _good_answers() -> tuple[Any, list[Block]]:
    info, _, lines = good_run().partition(CUT)
    folder = scratch() / "good"
    folder.mkdir(exist_ok=True)
    (folder / INFO).write_bytes(info)
    (folder / JOURNAL).write_bytes(b"".join(map(sealed, lines.split(b"\n"))))
    opened = RunFolder.open(folder)
    return opened.info, opened.blocks


# --- plug-ins, images, dispatch tables --------------------------------------------------------------


def plugin(raw: bytes) -> None:
    """A file that `--plugin` names: whatever is in it, it is loaded or refused."""
    path = written("plugged.py", raw)
    with refusable():
        _use_plugin(path)


def metadata(raw: bytes) -> None:
    """A plug-in whose class says nonsense of itself: JSON of attribute → value."""
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        return
    if not isinstance(said, dict):
        return
    words = {name: json.dumps(value) for name, value in said.items() if name.isidentifier() and not iskeyword(name)}
    body = "".join(f"    {name} = json.loads({value!r})\n" for name, value in words.items())
    body += "    tags = frozenset(tags)\n" if isinstance(said.get("tags"), list) else ""
    head = "import json\nfrom convbench.algorithm import ConvAlgorithm\nclass Mine(ConvAlgorithm):\n"
    path = written("said.py", (head + METHODS + body).encode("utf-8", "surrogatepass"))
    with refusable():
        _use_plugin(path)


METHODS: Final = """\
    name = "mine"
    answer = None
    def supports(self, spec): return self.answer
    def error_model(self, spec): return self.answer
    def plan(self, spec, resources): return self.answer
"""


def _use_plugin(path: Path) -> None:
    try:
        known = catalog.load([path])
    finally:
        sys.modules.pop(f"{catalog.PLUGIN_PREFIX}{path.stem}", None)
    own: dict[str, ConvAlgorithm] = {name: known[name] for name in known.brought[-1:]}
    for problem in (None, ConvSpec.parse(PROBLEMS[0])):
        for terminal in (False, True):
            print_algorithms(Console(file=io.StringIO(), force_terminal=terminal), own, problem)


def image(raw: bytes) -> None:
    """A picture or an array; the first byte says which."""
    kind = (".png", ".npy", ".jpg", ".tif")[(raw or b"\0")[0] % 4]
    path = written(f"image{kind}", raw[1:])
    with refusable():
        fitted = fit_image(load_image(path), 3, 8, 9)
        assert fitted.shape == (3, 8, 9)
        assert 0 <= fitted.min() <= fitted.max() <= 1


def dispatch(raw: bytes) -> None:
    """A table of `convbench tune`, damaged in the user's folder."""
    path = written("dispatch.json", raw)
    with refusable():
        dispatcher = Dispatcher(dispatching.read(path))
        for problem in map(ConvSpec.parse, PROBLEMS):
            for choice in dispatcher.choices(problem, 2, list(dispatcher.models)):
                assert 0 < choice.low_s <= choice.seconds <= choice.high_s < float("inf")


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    one.__name__: one for one in (spec, suite, table, journal, run, plugin, metadata, image, dispatch)
}
