"""Windows of a padded image that lies elsewhere, in a file or in chunks: cut and joined unread, read when convolved.

Tiles that overlap are cut from their neighbours. Cut from windows instead of pixels, a tile costs no memory until
somebody reads it, whatever the order in which a scheduler takes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple, Protocol, final

import numpy as np
import numpy.typing as npt

from convbench.algorithm import Array
from convbench.boundary import OUTSIDE, IndexMap, index_map
from convbench.spec import ConvSpec, Padding, Pair, Shape4

Region = tuple[slice, slice, slice, slice]
"""Of [N,C,H,W], each with a start and a stop."""


class Pixels(Protocol):
    """An image [N,C,H,W] that can be read in pieces."""

    def read(self, region: Region, out: Array) -> None:
        """Copy a region into `out`, which has its shape and perhaps another dtype."""

    def view(self, region: Region, dtype: np.dtype[Any]) -> Array | None:
        """A region where it is, if it lies there as a C-contiguous array of that dtype; never written to."""

    def displacement(self, region: Region) -> int:
        """How many bytes behind a multiple of 512 a region is best read to."""


@final
class ArrayPixels:
    """Those of anything that is indexed as numpy's arrays are, Zarr's too: [N,C,H,W], or [H,W] for one channel."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def read(self, region: Region, out: Array) -> None:
        """See `Pixels`."""
        out[...] = self.array[region[4 - self.array.ndim :]]

    def view(self, region: Region, dtype: np.dtype[Any]) -> Array | None:
        """See `Pixels`."""
        if not isinstance(self.array, np.ndarray):
            return None
        there = self.array.reshape((1,) * (4 - self.array.ndim) + self.array.shape)[region]
        return np.asarray(there) if there.dtype == dtype and there.flags.c_contiguous else None

    def displacement(self, region: Region) -> int:  # noqa: ARG002
        """See `Pixels`."""
        return 0


@final
class PaddedImage:
    """x [N,C,H,W] with padding, as much of it as `extent` says; indexed by four slices it gives a `Window`."""

    ndim: Final = 4

    def __init__(self, pixels: Pixels, spec: ConvSpec, padding: Padding, extent: Pair) -> None:
        self.pixels = pixels
        self.shape: Shape4 = (spec.n, spec.c, *extent)
        self.dtype = np.dtype(spec.dtype)
        sides = tuple(zip(spec.x_shape[2:], padding, strict=True))
        self._maps = [index_map(lines, side, spec.boundary) for lines, side in sides]
        self._inside = [(before, before + lines) for lines, (before, _) in sides]

    def __getitem__(self, region: Region) -> Window:
        """The window, unread."""
        return Window(self, _bounds(region, self.shape))

    def view(self, region: Region) -> Array | None:
        """See `Pixels`; None for what has padding in it."""
        source = self._source(region)
        return None if source is None else self.pixels.view(source, self.dtype)

    def displacement(self, region: Region) -> int:
        """See `Pixels`; 0 for what has padding in it."""
        source = self._source(region)
        return 0 if source is None else self.pixels.displacement(source)

    def _source(self, region: Region) -> Region | None:
        """The region in x, if it lies within."""
        n, c, *axes = region
        inside = zip(axes, self._inside, strict=True)
        rows, cols = (slice(part.start - first, min(part.stop, last) - first) for part, (first, last) in inside)
        within = rows.start >= 0 and cols.start >= 0 and (_length(rows), _length(cols)) == tuple(map(_length, axes))
        return (n, c, rows, cols) if within else None

    def read(self, region: Region, out: Array) -> None:
        """Copy a region of the padded image into `out`."""
        n, c, *axes = region
        down, across = (list(_parts(*each)) for each in zip(axes, self._inside, self._maps, strict=True))
        for rows in down:
            for cols in across:
                place = out[..., rows.place, cols.place]
                if rows.source is None or cols.source is None:
                    place[...] = 0
                elif rows.picked is None and cols.picked is None:
                    self.pixels.read((n, c, rows.source, cols.source), place)
                else:
                    lines = _indices(rows)[:, None], _indices(cols)
                    block = np.empty((*place.shape[:2], _length(rows.source), _length(cols.source)), out.dtype)
                    self.pixels.read((n, c, rows.source, cols.source), block)
                    place[...] = block[:, :, *lines]


@final
class Window:
    """A region of a `PaddedImage`; slicing and joining only move its bounds."""

    ndim: Final = 4

    def __init__(self, image: PaddedImage, region: Region) -> None:
        self.image = image
        self.region = region
        self.shape = tuple(map(_length, region))
        self.dtype = image.dtype

    def __getitem__(self, region: Region) -> Window:
        """A window in the window."""
        inner = _bounds(region, self.shape)
        moved = [slice(a.start + b.start, a.start + b.stop) for a, b in zip(self.region, inner, strict=True)]
        return Window(self.image, tuple(moved))  # type: ignore[arg-type]

    def view(self) -> Array | None:
        """The pixels where they are, if they can be convolved there."""
        return self.image.view(self.region)

    @property
    def displacement(self) -> int:
        """How many bytes behind a multiple of 512 the pixels are best read to."""
        return self.image.displacement(self.region)

    def read(self, out: Array) -> None:
        """Copy the pixels into `out`, of the window's shape."""
        self.image.read(self.region, out)

    def __array_function__(self, func: Callable[..., Any], types: object, args: Any, kwargs: Any) -> Any:
        """`np.concatenate` of neighbours, by which dask joins them, is one window; there is nothing else for them."""
        if func is not np.concatenate:
            return NotImplemented
        return _joined(*args, **kwargs)


def _joined(windows: Sequence[Window], axis: int = 0) -> Window:
    region = list(windows[0].region)
    region[axis] = slice(region[axis].start, windows[-1].region[axis].stop)
    return Window(windows[0].image, tuple(region))  # type: ignore[arg-type]


class _Part(NamedTuple):
    """Lines of a region that come from one place of x."""

    place: slice
    """In the region."""
    source: slice | None
    """In x; None where they are zeros."""
    picked: IndexMap | None
    """Which lines of `source`; None where all are taken as they stand."""


def _parts(lines: slice, inside: Pair, sources: npt.NDArray[np.int64]) -> Iterator[_Part]:
    """Padding before the image, the image, padding after it: those that a range of padded lines has a share in."""
    cuts = [lines.start, *(min(max(cut, lines.start), lines.stop) for cut in inside), lines.stop]
    for part, (start, stop) in enumerate(pairwise(cuts)):
        place = slice(start - lines.start, stop - lines.start)
        if start == stop:
            continue
        if part == 1:
            yield _Part(place, slice(start - inside[0], stop - inside[0]), None)
        elif sources[start] == OUTSIDE:
            yield _Part(place, None, None)
        else:
            wanted = sources[start:stop]
            first = int(wanted.min())
            yield _Part(place, slice(first, int(wanted.max()) + 1), wanted - first)


def _indices(part: _Part) -> IndexMap:
    return np.arange(_length(part.place)) if part.picked is None else part.picked


def _length(part: slice | None) -> int:
    return 0 if part is None else part.stop - part.start


def _bounds(region: Region, shape: Sequence[int]) -> Region:
    return tuple(slice(*part.indices(extent)[:2]) for part, extent in zip(region, shape, strict=True))  # type: ignore[return-value]
