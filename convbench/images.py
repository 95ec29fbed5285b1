"""What `convolve_large` reads from and writes to: .npy files, Zarr, dask arrays, and what is indexed like an array."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np

from convbench.algorithm import Array
from convbench.boundary import OUTSIDE, index_map
from convbench.errors import OperandError
from convbench.npy_file import NpyFile
from convbench.spec import ConvSpec, Pair, Shape4
from convbench.tiles import Tiling
from convbench.window import ArrayPixels, Pixels, Region


class Source(NamedTuple):
    """An image, its shape as [N,C,H,W], and how it is read: pixel by pixel, or as a dask array."""

    array: Any
    path: Path | None
    shape: Shape4
    planar: bool
    """Whether it is [H,W]."""

    @property
    def is_dask(self) -> bool:
        """Whether its pixels are yet to be computed."""
        dask_array = sys.modules.get("dask.array")
        return dask_array is not None and isinstance(self.array, dask_array.Array)

    @property
    def pixels(self) -> Pixels:
        """Of what is no dask array."""
        return self.array if isinstance(self.array, NpyFile) else ArrayPixels(self.array)


def open_source(source: Any) -> Source:
    """Raises `OperandError` for what is missing, or no image."""
    array = _opened(source) if isinstance(source, str | Path) else source
    if isinstance(array, np.memmap):
        array = NpyFile.behind(array) or array
    if not all(hasattr(array, name) for name in ("shape", "dtype", "__getitem__")) and not isinstance(array, NpyFile):
        raise OperandError(f"source must be a path, or an array, not {type(source).__name__}")
    shape, dtype = tuple(map(int, array.shape)), np.dtype(array.dtype)
    if len(shape) not in (2, 4) or math.prod(shape) == 0 or dtype.kind not in "buif":
        raise OperandError(f"source must be of real numbers [H,W] or [N,C,H,W], not {dtype} {list(shape)}")
    full = shape if len(shape) == 4 else (1, 1, *shape)
    path = Path(source) if isinstance(source, str | Path) else getattr(array, "path", None)
    return Source(array, path if isinstance(path, Path) else None, full, len(shape) == 2)  # type: ignore[arg-type]


def padded_dask(source: Source, tiling: Tiling) -> Any:
    """A dask array as [N,C,H',W'] in the spec's dtype, padded and cut into x tiles."""
    import dask.array as da

    x = source.array.reshape(source.shape).astype(tiling.spec.dtype)
    for axis, (padding, extent) in enumerate(zip(tiling.padding, tiling.x_extent, strict=True), start=2):
        before, inside = padding[0], x.shape[axis]
        lines = index_map(inside, padding, tiling.spec.boundary)
        parts = [lines[:before], x, lines[before + inside :]]
        padded = [part if part is x else _lines(x, part, axis) for part in parts if part.shape[0]]
        x = da.concatenate(padded, axis=axis)
        x = x[(slice(None),) * axis + (slice(0, extent),)]
    return x.rechunk(tiling.x_chunks)


def _lines(x: Any, sources: Array, axis: int) -> Any:
    import dask.array as da

    if sources[0] == OUTSIDE:
        return da.zeros((*x.shape[:axis], len(sources), *x.shape[axis + 1 :]), dtype=x.dtype)
    return da.take(x, sources, axis=axis)


def chunks_of(array: Any) -> Pair:
    """Rows and columns that are read or written together; (1, 1) for what is not in chunks."""
    names = ("chunksize", "shards", "chunks")  # dask's; Zarr's
    chunks = next((found for name in names if (found := getattr(array, name, None))), None)
    return (1, 1) if chunks is None else (int(chunks[-2]), int(chunks[-1]))


def open_target(target: Any, source: Source, spec: ConvSpec, tile: Pair) -> Any:
    """What y is stored to, by regions [N,K,P,Q]; a path is made anew, a Zarr array in chunks of a tile.

    Raises `OperandError` for what has another shape, or cannot be written.
    """
    shape: tuple[int, ...] = spec.y_shape
    if source.planar:
        if spec.k != 1:
            raise OperandError(f"an image [H,W] has one output channel, not K={spec.k}")
        shape = shape[2:]
    if isinstance(target, str | Path):
        made = _created(Path(target), source, shape, spec.dtype, tile)
        return made if isinstance(made, NpyFile) else _Target(made)
    if isinstance(target, np.memmap):
        target = NpyFile.behind(target) or target
    if not hasattr(target, "shape") or not hasattr(target, "__setitem__"):
        raise OperandError(f"target must be a path, or an array that can be written, not {type(target).__name__}")
    if target is source.array or (isinstance(target, np.ndarray) and _may_overlap(target, source.array)):
        raise OperandError("target and source overlap in memory: give the target an array of its own")
    if tuple(target.shape) != shape:
        raise OperandError(f"target must have the shape {list(shape)}, not {list(target.shape)}")
    return target if isinstance(target, NpyFile) else _Target(target)


def _may_overlap(target: Array, source: object) -> bool:
    return isinstance(source, np.ndarray) and np.may_share_memory(target, source)


@final
class _Target:
    """Anything that is written like an array, by regions of [N,K,P,Q]."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __setitem__(self, region: Region, values: Array) -> None:
        skipped = 4 - self.array.ndim
        self.array[region[skipped:]] = values[(0,) * skipped]


def _opened(source: str | Path) -> Any:
    path = Path(source)
    if not path.exists():
        raise OperandError(f"{path}: no such file or folder")
    if path.suffix == ".npy":
        return NpyFile.open(path)
    try:
        return _zarr(path).open_array(path, mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise OperandError(f"{path}: not a Zarr array: {' '.join(str(error).split())}") from error


def _created(path: Path, source: Source, shape: Sequence[int], dtype: str, tile: Pair) -> Any:
    if source.path is not None and path.exists() and path.samefile(source.path):
        raise OperandError(f"{path}: is the source: give the target a name of its own")
    if path.suffix == ".npy":
        return NpyFile.create(path, tuple(shape), dtype)
    zarr = _zarr(path)
    chunks = (*(1,) * (len(shape) - 2), *tile)
    try:
        return zarr.create_array(path, shape=tuple(shape), chunks=chunks, dtype=dtype, overwrite=True)
    except (OSError, ValueError) as error:
        raise OperandError(f"{path}: cannot be written: {' '.join(str(error).split())}") from error


def _zarr(path: Path) -> Any:
    if path.suffix != ".zarr":
        raise OperandError(f"{path}: must end in .npy or .zarr")
    if importlib.util.find_spec("zarr") is None:
        raise OperandError(f"{path}: needs zarr: pip install 'convbench[large]'")
    import zarr

    return zarr
