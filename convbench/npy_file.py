"""An image in a .npy file, read and written in pieces and never mapped: mapped pages count as resident."""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from convbench.algorithm import Array
from convbench.errors import OperandError
from convbench.window import Region

MOST_LINES: Final = 1024
MOST_BYTES: Final = 2**30
"""Of neighbours in the file that one call reads or writes: Linux takes 1024 pieces, and less than 2 GiB."""


@final
class NpyFile:
    """An array [H,W] or [N,C,H,W] in C order. From several threads at once; pickled, it is the file's name."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike, offset: int, mode: int) -> None:
        self.path, self.shape, self.dtype, self.offset, self.mode = path, shape, np.dtype(dtype), offset, mode
        self.ndim = len(shape)
        self._file = os.open(path, mode)
        weakref.finalize(self, os.close, self._file)

    def __reduce__(self) -> tuple[Any, ...]:
        return NpyFile, (self.path, self.shape, self.dtype, self.offset, self.mode)

    @staticmethod
    def open(path: Path) -> NpyFile:
        """One that is there. Raises `OperandError`."""
        try:
            mapped = np.load(path, mmap_mode="r")
        except OSError as error:
            raise OperandError(f"{path}: cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise OperandError(f"{path}: not a .npy file: {error}") from error
        found = NpyFile.behind(mapped) if isinstance(mapped, np.memmap) else None
        if found is None:
            raise OperandError(f"{path}: must hold an array in C order")
        return found

    @staticmethod
    def create(path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike) -> NpyFile:
        """A new one, in place of what was there. Raises `OperandError`."""
        try:
            mapped = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), shape)
        except OSError as error:
            raise OperandError(f"{path}: cannot be written: {error.strerror}") from error
        return NpyFile(path, shape, dtype, mapped.offset, os.O_RDWR)

    @staticmethod
    def behind(mapped: np.memmap[Any, Any]) -> NpyFile | None:
        """The file of a memory-mapped array; None for what is a view of one, its own copy, or not in C order."""
        original = isinstance(mapped.base, mmap.mmap) and mapped.mode != "c"
        if not original or not mapped.flags.c_contiguous:
            return None
        mode = os.O_RDWR if mapped.flags.writeable else os.O_RDONLY
        return NpyFile(Path(str(mapped.filename)), mapped.shape, mapped.dtype, mapped.offset, mode)

    def read(self, region: Region, out: Array) -> None:
        """See `convbench.window.Pixels`. Raises `OperandError` for a file that ends before its array does."""
        if out.dtype == self.dtype:
            self._each_run(region, out, os.preadv)
        else:
            pixels = np.empty(out.shape, self.dtype)
            self._each_run(region, pixels, os.preadv)
            out[...] = pixels

    def __setitem__(self, region: Region, values: Array) -> None:
        """Write a region."""
        self._each_run(region, np.ascontiguousarray(values, self.dtype), os.pwritev)

    def _each_run(self, region: Region, lines: Array, move: Callable[[int, Any, int], int]) -> None:
        """Move lines [N,C,H,W] from or to the file, as many with one call as lie together there."""
        for place, run in self._runs(region, lines):
            expected = sum(line.nbytes for line in run)
            if move(self._file, run, self.offset + place * self.dtype.itemsize) != expected:
                raise OperandError(f"{self.path}: ends before its array does")

    def _runs(self, region: Region, lines: Array) -> Iterator[tuple[int, Sequence[Array]]]:
        images, channels, rows, cols = region
        height, width = self.shape[-2:]
        whole = cols == slice(0, width)
        together = max(min(MOST_LINES, MOST_BYTES // (width * self.dtype.itemsize)), 1) if whole else 1
        for n, image in enumerate(range(images.start, images.stop)):
            for c, channel in enumerate(range(channels.start, channels.stop)):
                plane = image * (self.shape[1] if self.ndim == 4 else 1) + channel
                for h in range(0, rows.stop - rows.start, together):
                    run = lines[n, c, h : h + together]
                    place = (plane * height + rows.start + h) * width + cols.start
                    yield place, [run] if run.flags.c_contiguous else list(run)
