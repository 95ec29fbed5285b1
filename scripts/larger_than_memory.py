#!/usr/bin/env python
"""Images of 0.25 to 8 GB by `convolve_large` within 1 GB: throughput, beside that in memory, and peak memory.

    python scripts/larger_than_memory.py [--gigabytes 0.25,0.5,1,2,4,8] [--kernels 9,31] [--workers 1,2] [--folder DIR]

Each case is a process of its own, confined to as many cores as it has workers; before and after it, another one
convolves an image that fits, in memory, on the same cores. Outputs are compared with the float64 reference, at a
sample of places. "disk": the image has been dropped from the system's cache; "cache": it has just been read.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

LIMIT_BYTES: Final = 2**30
ALGORITHMS: Final = {True: "direct", False: "fft_overlap_save"}
DIRECT_UP_TO: Final = 9
IN_MEMORY: Final = 8192
"""Rows and columns of the image that fits: 0.25 GiB."""
IN_MEMORY_S: Final = 1.5
SAMPLES: Final = 4000
WARM_UP: Final = 2**22
"""Pixels of a tile, at most, in which everything is compiled and loaded."""
COLUMNS: Final = (
    "image", "filter", "workers", "from", "Mpixel/s", "GFLOP/s, direct-equivalent",
    "in memory, Mpixel/s", "ratio", "ratio of CPU time", "peak",
)  # fmt: skip
COMPILED_UP_TO: Final = 2**30
"""Smaller ones are convolved once more beforehand: what is compiled stays on disk, and is not timed."""
CACHED_UP_TO: Final = 8 * 2**30
"""Larger ones may not stay in the system's cache."""


def main() -> None:
    """Measure all cases and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", default="0.25,0.5,1,2,4,8")
    parser.add_argument("--kernels", default="9,31")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--folder", type=Path, default=None, help="where the images are kept meanwhile")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        sys.stdout.write(json.dumps(_child(**json.loads(options.child))))
        return
    _line(COLUMNS)
    _line(["---"] * len(COLUMNS))
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for gigabytes in map(float, options.gigabytes.split(",")):
            source = Path(folder) / "x.npy"
            _make(source, *_extent(gigabytes))
            for kernel in map(int, options.kernels.split(",")):
                for row in _rows(source, kernel, [int(count) for count in options.workers.split(",")]):
                    _line(row)
            source.unlink()


def _line(cells: Iterable[object]) -> None:
    sys.stdout.write(f"| {' | '.join(map(str, cells))} |\n")
    sys.stdout.flush()


def _rows(source: Path, kernel: int, worker_counts: list[int]) -> Iterator[tuple[object, ...]]:
    nbytes = source.stat().st_size
    target = source.with_name("y.npy")
    if nbytes <= COMPILED_UP_TO:
        _run(kernel=kernel, workers=1, source=str(source), target=str(target))
    for workers in worker_counts:
        common = {"kernel": kernel, "workers": workers}
        before = _run(**common)
        for cached in (False, True) if nbytes <= 1.01 * CACHED_UP_TO else (False,):
            _settle(source, cached=cached)
            tiles = _run(**common, source=str(source), target=str(target))
            after = _run(**common)
            rate, cpu_rate = ((before[key] + after[key]) / 2 for key in ("rate", "cpu_rate"))
            before = after
            if not cached:
                _verify(source, target, kernel)
            target.unlink()
            cells = (
                f"{nbytes / 2**30:.2g} GiB",
                f"{kernel} × {kernel}",
                workers,
                "cache" if cached else "disk",
                f"{tiles['rate'] / 1e6:.0f}",
                f"{2 * kernel**2 * tiles['rate'] / 1e9:.0f}",
                f"{rate / 1e6:.0f}",
                f"{tiles['rate'] / rate:.0%}",
                f"{tiles['cpu_rate'] / cpu_rate:.0%}",
                f"{tiles['peak_bytes'] / 2**20:.0f} MiB",
            )
            yield cells


def _run(**case: Any) -> dict[str, Any]:
    words = [sys.executable, __file__, "--child", json.dumps(case)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{case}: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _child(kernel: int, workers: int, source: str | None = None, target: str | None = None) -> dict[str, float]:
    """Pixels a second, and a second of CPU time on a core; of the image in `source`, or of one in memory."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:workers])
    import convbench as cb

    w = _filter(kernel)
    algorithm = ALGORITHMS[kernel <= DIRECT_UP_TO]
    if source is None or target is None:
        spec = cb.ConvSpec(h=IN_MEMORY, w=IN_MEMORY, r=kernel, s=kernel, padding="same")
        conv = cb.prepare(spec, w[None, None], algorithm=algorithm, threads=workers, check_finite=False)
        x = np.resize(np.random.default_rng(0).standard_normal(2**20, np.float32), spec.x_shape)
        y = np.zeros_like(x)
        conv.execute(x, y)
        calls, start_s, start_cpu_s = 0, time.perf_counter(), time.process_time()
        while calls < 3 or time.perf_counter() - start_s < IN_MEMORY_S:
            conv.execute(x, y)
            calls += 1
        pixels = calls * y.size
    else:
        options: dict[str, Any] = {"algorithm": algorithm, "threads": workers, "memory_limit_bytes": LIMIT_BYTES}
        width = np.load(source, mmap_mode="r", allow_pickle=False).shape[1]
        rows = min(256, WARM_UP // width)
        few = np.zeros((4 * rows, width), np.float32)
        cb.convolve_large(few, w, few.copy(), **options, tile=(rows, width))  # compiles, and loads all that is needed
        del few
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        done = cb.convolve_large(source, w, target, **options)
        pixels = done.spec.p * done.spec.q
    taken_s, cpu_s = time.perf_counter() - start_s, time.process_time() - start_cpu_s
    return {"rate": pixels / taken_s, "cpu_rate": pixels / cpu_s, "peak_bytes": _peak_bytes()}


def _filter(kernel: int) -> Any:
    return np.random.default_rng(kernel).standard_normal((kernel, kernel), np.float32)


def _peak_bytes() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def _extent(gigabytes: float) -> tuple[int, int]:
    """Of float32, about square, in powers of two."""
    pixels = round(gigabytes * 2**28)
    height = 2 ** ((pixels.bit_length() - 1) // 2)
    return height, pixels // height


def _make(path: Path, height: int, width: int) -> None:
    """Random numbers, the same block of lines over and over, each time by another shift."""
    from convbench.npy_file import NpyFile

    file = NpyFile.create(path, (height, width), np.float32)
    lines = min(512, height)
    block = np.random.default_rng(0).standard_normal((lines, width), np.float32)
    for first in range(0, height, lines):
        shifted = np.roll(block, 61 * first // lines, axis=1)[None, None]
        file[slice(0, 1), slice(0, 1), slice(first, first + lines), slice(0, width)] = shifted


def _settle(path: Path, *, cached: bool) -> None:
    with path.open("rb", buffering=0) as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while cached and file.read(2**24):
            pass


def _verify(source: Path, target: Path, kernel: int) -> None:
    import convbench as cb
    from convbench.agreement import Reference, judge, sampled_reference

    x, y, w = (
        np.load(source, mmap_mode="r", allow_pickle=False),
        np.load(target, mmap_mode="r", allow_pickle=False),
        _filter(kernel)[None, None],
    )
    spec = cb.ConvSpec(h=x.shape[0], w=x.shape[1], r=kernel, s=kernel, padding="same")
    found = sampled_reference(spec, w, x[None, None], count=SAMPLES, seed=0)
    assert found.indices is not None
    shape = (1, 1, 1, len(found.indices))
    whole = Reference(shape, None, found.values, found.scale, found.scale_rms)
    model = cb.algorithms()[ALGORITHMS[kernel <= DIRECT_UP_TO]].error_model(spec)
    agreement = judge(np.array(y.ravel()[found.indices]).reshape(shape), whole, model)
    if not agreement.agrees:
        raise SystemExit(f"{source}: the outputs are wrong: {agreement.detail}")


if __name__ == "__main__":
    main()
