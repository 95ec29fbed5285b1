"""Good inputs of every target, for mutations to start from."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL.Image

from analysis.synthetic import Synthetic, block, failed, kernel_cells, power_law
from convbench import dispatching
from convbench.result import Cell, Status
from convbench.store import INFO, JOURNAL
from convbench.suite import shipped_suites
from fuzz.targets import CUT

GOLDEN: Final = Path(__file__).parent.parent / "golden" / "run_v1"
CLAIMS: Final = (
    {
        "says": "FFT is not worth it below 15.",
        "at_least": 5.0,
        "about": {"axis": "kernel", "start": "direct", "to": "fft"},
        "algorithms": ["fft"],
    },
    {
        "says": "Direct is half as fast.",
        "source": "a book",
        "at_most": 2.0,
        "about": {
            "of": {"algorithms": ["direct"]},
            "over": {"algorithms": ["fft"], "quantities": ["time", "prepare"], "at": {"kernel": [3, 7]}},
        },
    },
    {"says": "It pays back.", "at_least": 1.0, "about": {"start": "direct", "to": "fft"}},
    {"says": "Much memory.", "at_least": 1.0, "about": {"of": {"quantities": ["workspace"], "per": "image"}}},
)
BOMBS: Final = (
    "sweep: {image: {from: 1, to: 10000, step: 1}, kernel: {from: 1, to: 10000, step: 1}}",
    "sweep: {image: {from: 1, to: 2147483647, count: 9999}, kernel: 1, c: {from: 1, to: 9999, step: 1}}",
    "sweep: {image: {from: 1e-308, to: 1e308, factor: 1.0000001}, kernel: 3}",
    "sweep: {kernel: [1, 90001], image: {from: 90001, to: 100000, step: 1}}\n"
    "crossovers: {axis: kernel, from: direct, to: fft, refine: 1}",
    f"network:\n  input: 1x9x9\n  batch: [{', '.join(map(str, range(1, 2001)))}]\n"
    f"  layers:\n{''.join(f'  - c{i}: {{conv: 1, k: {i + 1}}}{chr(10)}' for i in range(300))}",
    "network:\n  input: 1x1x1\n  layers:\n"
    f"{''.join(f'  - c{i}: {{conv: 1, k: 1, stride: 2147483647}}{chr(10)}' for i in range(500))}",
    f"defaults: {{threads: [{', '.join(map(str, range(1, 401)))}]}}\n"
    f"shapes: [{', '.join(f'n1c1h{i}w9k1r1s1' for i in range(1, 400))}]",
    "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\n"
    "c: &c [*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c]",
    "sweep: " + "[" * 40 + "]" * 40,
    "name: x\nname: y",
    "shapes: [{h: 9, w: 9, r: 3, s: 3, weight: 1e308}]",
    "description: " + "x" * 5000,
)
"""Suites that would fill the memory, if nobody counted first."""


@cache
def seeds() -> Mapping[str, Sequence[bytes]]:
    """Target → good inputs."""
    suites = [path.read_bytes() for path in shipped_suites().values()]
    table = next(path for path in shipped_suites().values() if path.name == "smoke.yaml").parent / "shapes"
    lines = (table / "conv_shapes.csv").read_bytes().splitlines(keepends=True)
    return {
        "spec": [one.spec.id.encode() for one in rich_cells()]
        + [b"n2c4h9w9k8r3s5+stride=2x1+padding=1.2x0.1+groups=2"],
        "suite": [*suites, *(bomb.encode() for bomb in BOMBS)],
        "table": [b"".join(lines[:4]), b"".join(lines[:1] + lines[-3:])],
        "journal": [(GOLDEN / JOURNAL).read_bytes()],
        "run": [rich_run(), golden_run()],
        "plugin": [
            PLUGIN,
            b"import sys\nsys.exit(3)\n",
            b"raise KeyError\n",
            b"\x00",
            b"(" * 3000,
            b"x = " + b"-" * 90000 + b"1",
        ],
        "metadata": [json.dumps(METADATA).encode()],
        "image": images(),
        "dispatch": [small_table()],
    }


def rich_cells() -> list[Cell]:
    """A sweep at two numbers of threads."""
    return [*kernel_cells([3, 7, 15]), *kernel_cells([3, 7, 15], threads=2)]


def rich_run() -> bytes:
    """A run with two sides, claims, crossovers, failures, stages, ceilings, cold calls, and a device's figures."""
    times = {"direct": power_law(1e-3, 7, 2.0), "fft": power_law(1e-3, 7, 0.1), "opencv": power_law(2e-3, 7, 1.0)}
    made = Synthetic(times, rich_cells(), passes=3, samples=4)
    info = made.info(
        suite_text="name: x",
        suite_description="Which?",
        options={"passes": 3, "wall_s": 9.0, "useful_s": 5.0, "overhead_s": 1e-7, "input": None, "plugins": []},
        machine={"cpu": "a", "fingerprint": "f", "memory_bytes": 2**33, "caches": {"L1": 1}, "ceilings": [CEILING]},
        versions={"python": "3"},
        git_commit="abc",
        notes=("a note",),
        tags={"direct": ("cpu",), "fft": ("cpu",), "opencv": ("cpu", "peer")},
        versus={"ours": ("direct", "fft"), "theirs": ("opencv",), "targets": ({"at_least": 1.1, "threads": 1},)},
        crossings=({"axis": "kernel", "start": "direct", "to": "fft", "refine": 2.0},),
        claims=CLAIMS,
        reserve=tuple(kernel_cells([5, 9])),
    )
    more: dict[str, Any] = {
        "stages_s": {"forth": (1e-4, 2e-4), "back": (1e-4,)},
        "cold_s": (3e-3, 4e-3),
        "warmup_s": (1e-3,),
        "retaken_s": (2e-3,),
        "yardsticks": {"sum": (1e-3, 1e-3)},
        "upload_s": 1e-4,
        "download_s": 1e-4,
        "latency_s": 2e-3,
        "device_bytes": 2**20,
        "operations": 10**6,
        "compiled": 1,
        "compile_s": 0.1,
        "core": 1,
    }
    blocks = [one.model_copy(update=more) if one.algorithm == "fft" else one for one in made.blocks()]
    blocks += [
        failed(made.cells[0], "opencv", 2, Status.CRASHED, "signal 11"),
        block(made.cells[1], "direct", 3, [1e-3]),
    ]
    return _run(json.loads(info.model_dump_json()), [one.model_dump_json().encode() for one in blocks])


def golden_run() -> bytes:
    """An older run, without checksums."""
    said = [json.loads(line) for line in (GOLDEN / JOURNAL).read_bytes().splitlines()]
    lines = [json.dumps({name: value for name, value in one.items() if name != "crc32"}).encode() for one in said]
    return _run(json.loads((GOLDEN / INFO).read_bytes()), lines)


def _run(info: Any, lines: Sequence[bytes]) -> bytes:
    return json.dumps(info).encode() + CUT + b"\n".join(lines) + b"\n"


CEILING: Final = {
    "threads": 1,
    "multiply_add_flops_per_s": 1e11,
    "copy_bytes_per_s": 1e10,
    "matrix_product_flops_per_s": 9e10,
    "device": "cpu",
}
METADATA: Final = {"name": "mine", "device": "cpu", "precision": "strict", "tags": ["cpu"], "answer": None}
PLUGIN: Final = b"""from convbench.algorithm import ConvAlgorithm, Unsupported
class Mine(ConvAlgorithm):
    name = "mine"
    tags = frozenset({"cpu"})
    def supports(self, spec): return Unsupported("never")
    def error_model(self, spec): return None
    def plan(self, spec, resources): return None
"""


def images() -> list[bytes]:
    """Pictures and arrays, each behind the byte that tells its kind."""
    found = []
    for index, kind in enumerate(("PNG", "", "JPEG", "TIFF")):
        for pixels in (np.arange(60, dtype=np.uint8).reshape(6, 10), np.arange(180, dtype=np.uint8).reshape(6, 10, 3)):
            stream = io.BytesIO()
            if kind:
                PIL.Image.fromarray(pixels).save(stream, kind)
            else:
                np.save(stream, pixels)
            found.append(bytes([index]) + stream.getvalue())
    for array in (np.linspace(-2, 9, 48).reshape(2, 4, 6), np.ones((3, 4), np.float16), np.array([{}], object)):
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=True)
        found.append(b"\x01" + stream.getvalue())
    stream = io.BytesIO()
    np.savez(stream, x=np.ones(3))
    return [*found, b"\x01" + stream.getvalue()]


def small_table() -> bytes:
    """A few measurements of the shipped table, and the models of them."""
    table = dispatching.read(dispatching.SHIPPED)
    names = list(table.fitted)[:2]
    measured = [one for name in names for one in [m for m in table.measured if m.algorithm == name][:8]]
    kept = {"measured": tuple(measured), "fitted": {name: table.fitted[name] for name in names}}
    return table.model_copy(update=kept).model_dump_json().encode()
