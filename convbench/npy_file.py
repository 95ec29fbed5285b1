"""An image in a .npy file, read and written in pieces. Only what is being convolved is mapped: it counts as resident.

Pieces of whole lines pass the system's cache by where they can, unless they are in it. For a page of it to be found,
filled and written costs as much as some filters do; directly it costs next to nothing, and nobody else's pages are lost
to an image that is larger than memory.
"""

from __future__ import annotations

import errno
import math
import mmap
import os
import struct
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
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
PAGE: Final = 4096
MADV_POPULATE_READ: Final = 22
"""Linux's: all pages of a mapping at once, read if need be."""
SECTOR: Final = 512
"""What is moved directly is in multiples of it, in the file and in memory; a disk that wants more goes by the cache."""


@final
class NpyFile:
    """An array [H,W] or [N,C,H,W] in C order. From several threads at once; pickled, it is the file's name."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: npt.DTypeLike, offset: int, mode: int) -> None:
        self.path, self.shape, self.dtype, self.offset, self.mode = path, shape, np.dtype(dtype), offset, mode
        self.ndim = len(shape)
        self._file = _opened(self, path, mode)
        try:
            self._direct: int | None = _opened(self, path, mode | os.O_DIRECT)
        except (OSError, AttributeError):  # a file system, or a system, without
            self._direct = None

    def __reduce__(self) -> tuple[Any, ...]:
        return NpyFile, (self.path, self.shape, self.dtype, self.offset, self.mode)

    @staticmethod
    def open(path: Path) -> NpyFile:
        """One that is there. Raises `OperandError`."""
        try:
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
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
        descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
        text = repr({"descr": descr, "fortran_order": False, "shape": tuple(shape)}).encode("latin1")
        # A header may be as long as one likes: with that of a page, pixels begin where direct writes may.
        header = np.lib.format.magic(1, 0) + struct.pack("<H", PAGE - 10) + text.ljust(PAGE - 11) + b"\n"
        try:
            path.write_bytes(header)
            os.truncate(path, PAGE + np.dtype(dtype).itemsize * math.prod(shape))
        except OSError as error:
            raise OperandError(f"{path}: cannot be written: {error.strerror}") from error
        return NpyFile(path, shape, dtype, PAGE, os.O_RDWR)

    @staticmethod
    def behind(mapped: np.memmap[Any, Any]) -> NpyFile | None:
        """The file of a memory-mapped array; None for what is a view of one, its own copy, or not in C order."""
        base: object = mapped.base
        if not isinstance(base, mmap.mmap) or mapped.mode == "c" or not mapped.flags.c_contiguous:
            return None
        mode = os.O_RDWR if mapped.flags.writeable else os.O_RDONLY
        return NpyFile(Path(str(mapped.filename)), mapped.shape, mapped.dtype, mapped.offset, mode)

    def read(self, region: Region, out: Array) -> None:
        """See `convbench.window.Pixels`. Raises `OperandError` for a file that ends before its array does."""
        if out.dtype == self.dtype:
            self._each_run(region, out, self._read)
        else:
            pixels = np.empty(out.shape, self.dtype)
            self._each_run(region, pixels, self._read)
            out[...] = pixels

    def view(self, region: Region, dtype: np.dtype[Any]) -> Array | None:
        """See `convbench.window.Pixels`: lines that lie together, mapped for as long as the array is there."""
        images, channels, rows, cols = region
        one_plane = images.stop - images.start == channels.stop - channels.start == 1
        if not one_plane or cols != slice(0, self.shape[-1]) or dtype != self.dtype:
            return None
        place = self.offset + self._line(images.start, channels.start, rows.start) * self.shape[-1] * dtype.itemsize
        shape = (1, 1, rows.stop - rows.start, self.shape[-1])
        if self._direct is not None and not self._in_cache(place, dtype.itemsize * math.prod(shape)):
            return None  # to be read directly
        first = place // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        nbytes = place - first + dtype.itemsize * math.prod(shape)
        try:
            mapped = mmap.mmap(self._file, nbytes, mmap.MAP_SHARED, mmap.PROT_READ, offset=first)
        except (OSError, ValueError):  # the file is shorter: `read` says so
            return None
        with suppress(OSError):  # before Linux 5.14: page by page, as they are convolved
            mapped.madvise(MADV_POPULATE_READ)
        return np.ndarray(shape, dtype, mapped, place - first)

    def displacement(self, region: Region) -> int:
        """See `convbench.window.Pixels`."""
        images, channels, rows, cols = region
        line = self._line(images.start, channels.start, rows.start)
        return int(self.offset + (line * self.shape[-1] + cols.start) * self.dtype.itemsize) % SECTOR

    def _line(self, n: int, c: int, h: int) -> int:
        plane = n * (self.shape[1] if self.ndim == 4 else 1) + c
        return plane * self.shape[-2] + h

    def __setitem__(self, region: Region, values: Array) -> None:
        """Write a region. Raises `OperandError`, for a full disk too."""
        try:
            self._each_run(region, np.ascontiguousarray(values, self.dtype), self._write)
        except OSError as error:
            raise OperandError(f"{self.path}: cannot be written: {error.strerror}") from error

    def _each_run(self, region: Region, lines: Array, move: Callable[[Sequence[Array], int], int]) -> None:
        """Move lines [N,C,H,W] from or to the file, as many with one call as lie together there."""
        for place, run in self._runs(region, lines):
            expected = sum(line.nbytes for line in run)
            if move(run, self.offset + place * self.dtype.itemsize) != expected:
                raise OperandError(f"{self.path}: ends before its array does")

    def _runs(self, region: Region, lines: Array) -> Iterator[tuple[int, Sequence[Array]]]:
        images, channels, rows, cols = region
        width = self.shape[-1]
        whole = cols == slice(0, width)
        together = max(min(MOST_LINES, MOST_BYTES // (width * self.dtype.itemsize)), 1) if whole else 1
        for n, image in enumerate(range(images.start, images.stop)):
            for c, channel in enumerate(range(channels.start, channels.stop)):
                for h in range(0, rows.stop - rows.start, together):
                    run = lines[n, c, h : h + together]
                    place = self._line(image, channel, rows.start + h) * width + cols.start
                    yield place, [run] if run.flags.c_contiguous else list(run)

    def _read(self, run: Sequence[Array], place: int) -> int:
        return self._move(run, place, os.preadv)

    def _write(self, run: Sequence[Array], place: int) -> int:
        return self._move(run, place, os.pwritev)

    def _move(self, run: Sequence[Array], place: int, move: Callable[[int, Sequence[memoryview], int], int]) -> int:
        """Whole sectors that lie in memory as in the file are moved directly; what is left, and all else, not."""
        nbytes = sum(line.nbytes for line in run)
        first, last = -(-place // SECTOR) * SECTOR, (place + nbytes) // SECTOR * SECTOR
        direct = self._direct
        if direct is None or len(run) > 1 or first >= last or (run[0].ctypes.data + first - place) % SECTOR:
            return move(self._file, [line.data for line in run], place)
        pixels = run[0].reshape(-1).view(np.uint8).data
        before, sectors, after = pixels[: first - place], pixels[first - place : last - place], pixels[last - place :]
        try:
            moved = move(direct, [sectors], first)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._direct = None
            moved = move(self._file, [sectors], first)
        return moved + move(self._file, [before], place) + move(self._file, [after], last)

    def _in_cache(self, place: int, nbytes: int) -> bool:
        """Whether reading would not have to wait, by the first byte and the last."""
        try:
            for byte in (place, place + nbytes - 1):
                os.preadv(self._file, [bytearray(1)], byte, os.RWF_NOWAIT)
        except OSError:
            return False
        return True


def _opened(owner: NpyFile, path: Path, mode: int) -> int:
    try:
        file = os.open(path, mode)
    except OSError as error:
        if mode & getattr(os, "O_DIRECT", 0):
            raise
        raise OperandError(f"{path}: cannot be opened: {error.strerror}") from error
    weakref.finalize(owner, os.close, file)
    return file
