"""A convolution tile by tile: tile t of y needs tile t of the padded x, and the lines after it that the filter reaches.

    y tile [1,K,T,T']   of   x tile [1,C,T·u,T'·v] and F − u rows, F' − v columns more    (F the filter's extent)

An axis that is not cut keeps its padding, and the algorithm pads; so tiles of whole lines are convolved where they lie.
The overlaps are dask's: `map_overlap`, of windows or of pixels. dask is imported when a graph is built.
"""

from __future__ import annotations

import math
import mmap
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from queue import Empty, SimpleQueue
from typing import Any, Final, final

import numba
import numpy as np

from convbench.algorithm import Array, ConvAlgorithm, ConvPlan, PreparedConv, Resources, Unsupported
from convbench.errors import UnsupportedError
from convbench.spec import ConvSpec, Padding, Pair, Shape4
from convbench.window import PaddedImage, Pixels, Window

LEAST_LINES: Final = 128
"""With fewer, overlaps are as large as tiles, and transforms are cut short."""

Sizes = tuple[int, ...]
TileConvs = Mapping[tuple[int, ...], tuple[PreparedConv, Shape4]]
"""By the shape of an x tile: what convolves it, and the shape of y."""


@dataclass(frozen=True)
class Tiling:
    """How y [N,K,P,Q] is cut: each image by itself, all channels together, into rows and columns of these sizes."""

    spec: ConvSpec
    rows: Sizes
    cols: Sizes

    @staticmethod
    def of(spec: ConvSpec, tile: Pair, multiple: Pair = (1, 1)) -> Tiling:
        """Into tiles of that extent, or a little less where that makes the last one as large as the others.

        All but the last are multiples of `multiple`; none is smaller than what it lends to the one before.
        """
        return Tiling(spec, *(_sizes(spec, axis, tile[axis], multiple[axis]) for axis in (0, 1)))

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return self.spec.n * len(self.rows) * len(self.cols)

    @property
    def padding(self) -> Padding:
        """What the tiles' x is padded by before it is cut."""
        return self._outside(0), self._outside(1)

    @property
    def overlap(self) -> Pair:
        """Rows and columns that a tile of x takes from the next one."""
        down, across = (_overlap(self.spec, axis) if self._cut(axis) else 0 for axis in (0, 1))
        return down, across

    @property
    def x_chunks(self) -> tuple[Sizes, Sizes, Sizes, Sizes]:
        """Of the padded x, without overlaps; what no output needs is left out."""
        return (1,) * self.spec.n, (self.spec.c,), self._reaches(0), self._reaches(1)

    @property
    def x_extent(self) -> Pair:
        """Rows and columns of the padded x that is cut."""
        return sum(self._reaches(0)), sum(self._reaches(1))

    @property
    def y_chunks(self) -> tuple[Sizes, Sizes, Sizes, Sizes]:
        """Of y."""
        return (1,) * self.spec.n, (self.spec.k,), self.rows, self.cols

    def problems(self) -> Mapping[Shape4, ConvSpec]:
        """What is to be convolved, by the shape of an x tile with its overlaps: at most four kinds."""
        kinds = {}
        down_padding, across_padding = ((0, 0) if self._cut(axis) else self.spec.padding[axis] for axis in (0, 1))
        _, _, down, across = self.x_chunks
        for h in _overlapped(down, self.overlap[0]):
            for w in _overlapped(across, self.overlap[1]):
                kinds[1, self.spec.c, h, w] = replace(self.spec, n=1, h=h, w=w, padding=(down_padding, across_padding))
        return kinds

    def largest_bytes(self) -> Pair:
        """Of the largest x tile with its overlaps, and of the largest y tile."""
        problems = self.problems().values()
        x = max(math.prod(one.x_shape) for one in problems)
        y = max(math.prod(one.y_shape) for one in problems)
        return x * self.spec.itemsize, y * self.spec.itemsize

    def _cut(self, axis: int) -> bool:
        return len((self.rows, self.cols)[axis]) > 1

    def _outside(self, axis: int) -> Pair:
        return self.spec.padding[axis] if self._cut(axis) else (0, 0)

    def _reaches(self, axis: int) -> Sizes:
        """What each tile does not share with the one before: T·u, and the filter's reach in the last."""
        if not self._cut(axis):
            return (self.spec.x_shape[2 + axis],)
        *sizes, last = (self.rows, self.cols)[axis]
        stride = self.spec.stride[axis]
        return *(size * stride for size in sizes), (last - 1) * stride + self.spec.filter_extent[axis]


@final
class TileBuffers:
    """Memory for the x and y of so many tiles at once, used over and over: touched anew, it would cost as much as FFTs.

    Of whole pages, as files want it that are written past the system's cache.
    """

    def __init__(self, tiling: Tiling, tiles: int, resources: Resources) -> None:
        largest = tiling.largest_bytes()
        self.nbytes = resources.reserve(tiles * sum(largest))
        self._dtype = np.dtype(tiling.spec.dtype)
        self._x, self._y = (_Memory(nbytes, tiles) for nbytes in largest)

    def x(self, shape: Sequence[int], displacement: int = 0) -> Array:
        """An array that is nobody else's until it is collected, so many bytes behind the beginning of a page."""
        return self._x.array(shape, self._dtype, displacement)

    def y(self, shape: Sequence[int]) -> Array:
        """See `x`."""
        return self._y.array(shape, self._dtype, 0)


@final
class _Memory:
    """Blocks of memory that arrays borrow. A view keeps the array that it is of, and that its block."""

    def __init__(self, nbytes: int, blocks: int) -> None:
        self._nbytes = nbytes + mmap.PAGESIZE  # for a displacement
        self._free: SimpleQueue[mmap.mmap] = SimpleQueue()
        for _ in range(blocks):
            self._free.put(self._block())

    def _block(self) -> mmap.mmap:
        block = mmap.mmap(-1, self._nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            block.madvise(mmap.MADV_HUGEPAGE)
        return block

    def array(self, shape: Sequence[int], dtype: np.dtype[Any], displacement: int) -> Array:
        try:
            block = self._free.get_nowait()
        except Empty:  # somebody keeps an array for longer than a tile's time: to wait for that might be for ever
            block = self._block()
        array: Array = np.ndarray(shape, dtype, block, displacement)
        weakref.finalize(array, self._free.put, block).atexit = False
        return array


@final
class Convolvers:
    """Convolve tiles for any number of threads: as many at once as there are convolvers, each on one core.

    Other threads may read the next tile, or write the last one, meanwhile.
    """

    def __init__(self, convolvers: Sequence[TileConvs], buffers: TileBuffers, operations: int | None) -> None:
        self.operations = operations
        """Of all tiles."""
        self._idle: SimpleQueue[TileConvs] = SimpleQueue()
        for one in convolvers:
            self._idle.put(one)
        self._buffers = buffers

    def __call__(self, x: Array | Window) -> Array:
        """The y of an x tile with its overlaps."""
        tile = self._where_it_is(x)
        if tile is None:
            tile = self._buffers.x(x.shape, x.displacement if isinstance(x, Window) else 0)
            if isinstance(x, Window):
                x.read(tile)
            else:
                tile[...] = x
        convs = self._idle.get()
        allowed = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            conv, y_shape = convs[tile.shape]
            y = self._buffers.y(y_shape)
            conv.execute(tile, y)
        finally:
            numba.set_num_threads(allowed)
            self._idle.put(convs)
        return y

    def _where_it_is(self, x: Array | Window) -> Array | None:
        if isinstance(x, Window):
            return x.view()
        return x if x.flags.c_contiguous else None


@final
class TilesPlan:
    """An algorithm that is planned for every kind of tile, once for each thread, and buffers for `tiles` at once.

    Raises `WorkspaceTooLargeError`, and `UnsupportedError` with the algorithm's reason.
    """

    def __init__(
        self, algorithm: ConvAlgorithm, tiling: Tiling, resources: Resources, *, threads: int, tiles: int
    ) -> None:
        self._tiling = tiling
        self._buffers = TileBuffers(tiling, tiles, resources)
        self.workspace_bytes = self._buffers.nbytes
        self._plans: list[list[tuple[ConvSpec, ConvPlan]]] = []
        for _ in range(threads):
            self._plans.append([])
            for problem in tiling.problems().values():
                if unsupported := algorithm.supports(problem):
                    raise UnsupportedError(f"{algorithm.name}: {unsupported.reason}")
                plan = algorithm.plan(problem, _for_one_thread(resources, self.workspace_bytes))
                self.workspace_bytes += plan.workspace_bytes
                self._plans[-1].append((problem, plan))

    def prepare(self, w: Array) -> Convolvers | Unsupported:
        """With a filter w [K,C/groups,R,S]."""
        everybody: list[TileConvs] = []
        for plans in self._plans:
            convs: dict[tuple[int, ...], tuple[PreparedConv, Shape4]] = {}
            for problem, plan in plans:
                conv = plan.prepare(w)
                if isinstance(conv, Unsupported):
                    return conv
                convs[problem.x_shape] = conv, problem.y_shape
            everybody.append(convs)
        return Convolvers(everybody, self._buffers, self._operations(everybody[0]))

    def _operations(self, convs: TileConvs) -> int | None:
        """Of all tiles together, overlaps and all; None where the algorithm does not count them."""
        of_a_tile = {y_shape[2:]: conv.operations for conv, y_shape in convs.values()}
        counts = [of_a_tile[tile] for tile in product(self._tiling.rows, self._tiling.cols)]
        known = [count for count in counts if count is not None]
        return self._tiling.spec.n * sum(known) if len(known) == len(counts) else None


def at_once(threads: int) -> int:
    """How many tiles may be convolved at once: Numba's own pool of threads takes work from one thread only."""
    numba.get_num_threads()  # starts the pool
    layer = numba.threading_layer()  # type: ignore[attr-defined]
    return 1 if layer == "workqueue" else threads


def _for_one_thread(resources: Resources, taken_bytes: int) -> Resources:
    """What is left for one more plan."""
    limit = resources.memory_limit_bytes
    return replace(resources, threads=1, memory_limit_bytes=None if limit is None else limit - taken_bytes)


# --- the graph ------------------------------------------------------------------------------------


def windows_of(pixels: Pixels, tiling: Tiling) -> Any:
    """The padded image as a dask array whose blocks are windows, a tile each."""
    import dask.array as da

    image = PaddedImage(pixels, tiling.spec, tiling.padding, tiling.x_extent)
    meta = np.empty((0, 0, 0, 0), image.dtype)
    return da.from_array(image, tiling.x_chunks, name=_unique("windows"), asarray=False, meta=meta)


def overlapping(x: Any, tiling: Tiling, convolve: Callable[[Array | Window], Array]) -> Any:
    """y [N,K,P,Q] as a dask array, of the padded x as one in chunks of `tiling.x_chunks`."""
    import dask.array as da

    return da.map_overlap(
        convolve,
        x,
        depth={axis: (0, overlap) for axis, overlap in enumerate(tiling.overlap, start=2)},
        boundary="none",
        trim=False,
        allow_rechunk=False,
        align_arrays=False,
        chunks=tiling.y_chunks,
        dtype=tiling.spec.dtype,
        meta=np.empty((0, 0, 0, 0), tiling.spec.dtype),
        token=_unique("convolved"),
    )


def store(y: Any, target: Any, threads: int, *, lock: bool = False, client: Any = None) -> None:
    """Compute a dask array on so many threads, or on a cluster, each tile written to `target` as soon as it is there.

    `lock` where two tiles must not be written at once.
    """
    import dask.array as da

    where: dict[str, Any] = {"scheduler": "threads", "num_workers": threads}
    if client is not None:
        where = {"scheduler": client.get}
    elif threads == 1:
        where = {"scheduler": "synchronous"}
    da.store(y, target, lock=lock, **where)


def _unique(name: str) -> str:
    """dask takes what has the same name for the same: a name for each graph."""
    return f"{name}-{uuid.uuid4().hex}"


# --- sizes -------------------------------------------------------------------------


def tile_extent(spec: ConvSpec, tile_bytes: int, *, whole_lines: bool = True) -> Pair:
    """Rows and columns of y tiles that take so many bytes with their x: some whole lines, or else a square."""
    P, Q = spec.p, spec.q
    outputs = max(tile_bytes // _output_bytes(spec), 1)
    side = math.isqrt(outputs)
    cols = Q if side >= Q or (whole_lines and tile_bytes >= whole_lines_bytes(spec)) else side
    return min(max(outputs // cols, 1), P), cols


def whole_lines_bytes(spec: ConvSpec) -> int:
    """Of the fewest whole lines that are worth being a tile."""
    return min(max(LEAST_LINES, _overlap(spec, 0)), spec.p) * spec.q * _output_bytes(spec)


def _output_bytes(spec: ConvSpec) -> int:
    """What an output takes in tiles of x and y."""
    return spec.itemsize * (spec.c * spec.stride[0] * spec.stride[1] + spec.k)


def _overlap(spec: ConvSpec, axis: int) -> int:
    return max(spec.filter_extent[axis] - spec.stride[axis], 0)


def _sizes(spec: ConvSpec, axis: int, size: int, multiple: int) -> Sizes:
    outputs = (spec.p, spec.q)[axis]
    even = -(-outputs // -(-outputs // size))
    least = -(-_overlap(spec, axis) // spec.stride[axis])
    even = min(-(-max(even, least, 1) // multiple) * multiple, outputs)
    rest = outputs % even
    return (even,) * (outputs // even) + ((rest,) if rest else ())


def _overlapped(chunks: Sizes, overlap: int) -> set[int]:
    return {*(chunk + overlap for chunk in chunks[:-1]), chunks[-1]}
