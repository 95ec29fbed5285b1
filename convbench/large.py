"""Images larger than memory: `convolve_large`, from file to file, tile by tile, within a memory limit."""

from __future__ import annotations

import importlib.util
import math
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import psutil

from convbench import auto, catalog
from convbench.algorithm import Array, ConvAlgorithm, MiB, Resources, Unsupported
from convbench.api import algorithms, thread_count
from convbench.convolution import Pools
from convbench.errors import OperandError, UnsupportedError, WorkspaceTooLargeError
from convbench.images import chunks_of, open_source, open_target, padded_dask
from convbench.npy_file import SECTOR
from convbench.operands import check_operand
from convbench.spec import ConvSpec, Padding, Pair
from convbench.tiles import (
    Convolvers,
    TilesPlan,
    Tiling,
    at_once,
    overlapping,
    store,
    tile_extent,
    whole_lines_bytes,
    windows_of,
)
from convbench.window import Window

TILE_BYTES: Final = 32 * MiB
"""Of a tile of x and one of y, but where that is too few lines: larger ones are not quicker."""
LEAST_TILE_BYTES: Final = MiB // 4
SLACK_BYTES: Final = 48 * MiB
"""What Python, dask and the system's allocator take beside the tiles."""
KEPT: Final = 2
"""Convolutions that a cluster's worker keeps ready."""


@dataclass(frozen=True)
class LargeConvolution:
    """How it was done: the problem, who convolved the tiles, how y was cut, on how many threads."""

    spec: ConvSpec
    algorithm: str
    tiling: Tiling
    threads: int


def convolve_large(
    source: Any,
    w: Array,
    target: Any,
    *,
    stride: int | Pair = 1,
    padding: int | Pair | Padding | str = "same",
    dilation: int | Pair = 1,
    groups: int = 1,
    boundary: str = "zero",
    flip: bool = False,
    algorithm: str = "auto",
    memory_limit_bytes: int | None = None,
    threads: int | None = None,
    tile: Pair | None = None,
    client: Any = None,
) -> LargeConvolution:
    """Convolve an image [H,W] or [N,C,H,W] with w [R,S] or [K,C/groups,R,S] and write y; neither need fit in memory.

    `source` is the path of a .npy file or of a Zarr array, a memory-mapped array, a Zarr or dask array, or what else is
    indexed like one; `target` a path (made anew), or an array of y's shape. Numbers are converted to w's dtype.

    Tiles [rows, columns] of y are convolved by `algorithm`, one on each of `threads` cores at a time, or by the
    workers of `client`, a `distributed.Client`, who have to see the same files. The process keeps below
    `memory_limit_bytes` resident by the size of its tiles, as does each worker; a dask array's own chunks come on top.
    Inf and NaN are not looked for.

    Raises `OperandError`, `SpecError`, `UnknownAlgorithmError`, `UnsupportedError`, `WorkspaceTooLargeError`.
    """
    needed = {"dask": "large"} | ({} if client is None else {"distributed": "cluster"})
    for module, extra in needed.items():
        if importlib.util.find_spec(module) is None:
            raise OperandError(f"convolve_large needs {module}: pip install 'convbench[{extra}]'")
    if client is not None and isinstance(target, np.ndarray) and not isinstance(target, np.memmap):
        raise OperandError("target is an array of this process, which a cluster's workers cannot write to: give a path")
    if not isinstance(w, np.ndarray):
        raise OperandError(f"w must be a numpy array, not {type(w).__name__}")
    if tile is not None and min(tile) < 1:
        raise OperandError(f"tile must be of one row and one column or more, not {tile}")
    image = open_source(source)
    w4 = w[None, None] if image.planar and w.ndim == 2 else w
    n, c, height, width = image.shape
    if w4.ndim != 4 or w4.shape[1] * groups != c:
        raise OperandError(f"w {list(w.shape)} does not fit an image of {c} channels with groups={groups}")
    k, _, r, s = w4.shape
    shape = {"n": n, "c": c, "h": height, "w": width, "k": k, "r": r, "s": s, "groups": groups}
    steps = {"stride": stride, "padding": padding, "dilation": dilation}
    spec = ConvSpec(**shape, **steps, dtype=w4.dtype.name, boundary=boundary, flip=flip)  # type: ignore[arg-type]
    check_operand("w", w4, spec.w_shape, spec.dtype)
    if algorithm == "auto":
        spec = auto.told_apart(spec, w4)
    chunks = chunks_of(image.array), chunks_of(target)
    whole = chunks == ((1, 1), (1, 1)) and Path(str(target)).suffix != ".zarr"
    wishes = _Wishes(spec, w4, algorithm, _threads(threads, client), memory_limit_bytes, tile, *chunks, whole)
    with Pools().limited(1):
        ready = wishes.ready()
        tiling = ready.tiling
        blocks = padded_dask(image, tiling) if image.is_dask else windows_of(image.pixels, tiling)
        place = open_target(target, image, spec, (tiling.rows[0], tiling.cols[0]))
        task = ready.convolvers if client is None else TileTask(ready.algorithm, tiling, w4, ready.threads)
        store(overlapping(blocks, tiling, task), place, ready.tiles, lock=not wishes.aligned(tiling), client=client)
    return LargeConvolution(spec, ready.algorithm.name, tiling, ready.threads)


@dataclass(frozen=True)
class _Ready:
    """Who convolves the tiles, ready on each thread."""

    algorithm: ConvAlgorithm
    tiling: Tiling
    threads: int
    tiles: int
    """At once."""
    convolvers: Convolvers


@dataclass(frozen=True)
class _Wishes:
    """What was asked for."""

    spec: ConvSpec
    w: Array
    algorithm: str
    threads: int
    memory_limit_bytes: int | None
    tile: Pair | None
    source_chunks: Pair
    target_chunks: Pair
    whole_lines: bool

    def ready(self) -> _Ready:
        """With the largest tiles whose plans keep within the limit."""
        too_large: WorkspaceTooLargeError | None = None
        for tiling in self._tilings():
            try:
                return self._with(tiling)
            except WorkspaceTooLargeError as error:
                too_large = error
        raise WorkspaceTooLargeError(
            f"a limit of {(self.memory_limit_bytes or 0) / MiB:,.0f} MiB is too small, of which Python itself holds "
            f"{_resident_bytes() / MiB:,.0f} MiB: a tile {too_large}"
        )

    def aligned(self, tiling: Tiling) -> bool:
        """Whether no two tiles of y are parts of one chunk of the target."""
        return all(
            size % chunk == 0
            for sizes, chunk in zip((tiling.rows, tiling.cols), self.target_chunks, strict=True)
            for size in sizes[:-1]
        )

    @property
    def _multiple(self) -> Pair:
        if self.target_chunks != (1, 1):
            return self.target_chunks
        line_bytes = self.spec.q * self.spec.itemsize
        return SECTOR // math.gcd(SECTOR, line_bytes), 1  # for direct writes of whole lines

    def _tilings(self) -> Iterator[Tiling]:
        if self.tile is not None:
            yield Tiling.of(self.spec, self.tile)
            return
        nbytes = max(TILE_BYTES, whole_lines_bytes(self.spec)) if self.whole_lines else TILE_BYTES
        while nbytes >= LEAST_TILE_BYTES:
            tile = tile_extent(self.spec, nbytes, whole_lines=self.whole_lines)
            yield Tiling.of(self.spec, tile, self._multiple)
            nbytes //= 2

    def _with(self, tiling: Tiling) -> _Ready:
        """Raises `WorkspaceTooLargeError`."""
        threads = min(at_once(self.threads), tiling.count)
        # While some are convolved, others are read and written; chunks are decoded and encoded by processors, too.
        tiles = min(2 * threads + 1 if self.whole_lines else threads + 1, tiling.count)
        passing_bytes = 0 if self.whole_lines else tiles * self._passing_bytes(tiling)
        reasons = []
        for algorithm in self._candidates(tiling):
            try:
                plan = TilesPlan(algorithm, tiling, self._resources(passing_bytes), threads=threads, tiles=tiles)
            except UnsupportedError as error:
                reasons.append(str(error))
                continue
            convolvers = plan.prepare(self.w)
            if isinstance(convolvers, Unsupported):
                reasons.append(f"{algorithm.name}: {convolvers.reason}")
                continue
            self._resources(passing_bytes).reserve(plan.workspace_bytes)  # now that all is compiled
            return _Ready(algorithm, tiling, threads, tiles, convolvers)
        raise UnsupportedError("; ".join(reasons))

    def _passing_bytes(self, tiling: Tiling) -> int:
        """What a tile takes beside its buffers: all chunks of x that it touches and their pixels, y and its chunks."""
        x_bytes, y_bytes = tiling.largest_bytes()
        touched = [
            (extent + 2 * chunk) / extent
            for extent, chunk in zip(map(max, tiling.x_chunks[2:]), self.source_chunks, strict=True)
        ]
        return round(x_bytes * (1 + touched[0] * touched[1])) + 2 * y_bytes

    def _candidates(self, tiling: Tiling) -> Iterator[ConvAlgorithm]:
        if self.algorithm != "auto":
            found = catalog.find(algorithms(), self.algorithm)
            if found.device != "cpu":
                raise UnsupportedError(f"{found.name}: tiles are convolved on the CPU")
            yield found
            return
        for choice in auto.choices(algorithms(), max(tiling.problems().values(), key=_work), 1):
            yield algorithms()[choice.algorithm]

    def _resources(self, passing_bytes: int) -> Resources:
        """What is left beside what is resident now and what is passing through."""
        if self.memory_limit_bytes is None:
            return Resources()
        return Resources(memory_limit_bytes=self.memory_limit_bytes - SLACK_BYTES - _resident_bytes() - passing_bytes)


@final
class TileTask:
    """What a cluster's workers convolve tiles by: each process makes its plans when its first tile comes."""

    def __init__(self, algorithm: ConvAlgorithm, tiling: Tiling, w: Array, threads: int) -> None:
        self.key = uuid.uuid4().hex
        self.algorithm = algorithm
        self.tiling = tiling
        self.w = w
        self.threads = threads

    def __call__(self, x: Array | Window) -> Array:
        """See `Convolvers`."""
        with _making:
            if self.key not in _made:
                _made[self.key] = self._convolvers()
                while len(_made) > KEPT:
                    _made.popitem(last=False)
            convolvers = _made[self.key]
        return convolvers(x)

    def _convolvers(self) -> Convolvers:
        threads = at_once(self.threads)
        plan = TilesPlan(self.algorithm, self.tiling, Resources(), threads=threads, tiles=threads + 1)
        convolvers = plan.prepare(self.w)
        if isinstance(convolvers, Unsupported):
            raise UnsupportedError(f"{self.algorithm.name}: {convolvers.reason}")
        return convolvers


_making: Final = threading.Lock()
_made: Final[OrderedDict[str, Convolvers]] = OrderedDict()


def _threads(threads: int | None, client: Any) -> int:
    if client is not None:
        return max((one["nthreads"] for one in client.scheduler_info()["workers"].values()), default=1)
    return thread_count(threads)


def _work(spec: ConvSpec) -> int:
    return spec.direct_flops


def _resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)
