"""`convolve_large`: the in-memory answer, whatever is read and written, within a memory limit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convbench as cb
from contract.harness import expect, known
from convbench.agreement import full_reference
from convbench.algorithm import Resources
from convbench.errors import ConvbenchError
from convbench.images import open_source
from convbench.npy_file import PAGE, NpyFile
from convbench.operands import Operands
from convbench.spec import BOUNDARIES, ConvSpec
from convbench.tiles import TileBuffers, Tiling, tile_extent
from spec_strategy import specs

da = pytest.importorskip("dask.array", reason="needs dask: pip install 'convbench[large]'")
zarr = pytest.importorskip("zarr", reason="needs zarr: pip install 'convbench[large]'")

ALGORITHM = "fft_overlap_save"
MiB = 2**20


def large(spec: ConvSpec, source: Any, w: Any, target: Any, **options: Any) -> Any:
    """`convolve_large` of a spec's problem."""
    names = ("stride", "padding", "dilation", "groups", "boundary", "flip")
    problem = {name: getattr(spec, name) for name in names}
    return cb.convolve_large(source, w, target, **problem, **{"algorithm": ALGORITHM, "threads": 1} | options)


def check(spec: ConvSpec, y: Any, made: Operands) -> None:
    expect(
        np.asarray(y).reshape(spec.y_shape),
        full_reference(spec, made.prepared, made.input),
        cb.algorithms()[ALGORITHM].error_model(spec),
    )


# --- the same answer ----------------------------------------------------------------------------------


@settings(max_examples=80)
@given(
    spec=specs(direction="forward", dtype="float32"),
    tile=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    threads=st.sampled_from((1, 2)),
    through_dask=st.booleans(),
)
def test_tiles_give_the_answer_of_the_whole(
    spec: ConvSpec, tile: tuple[int, int], threads: int, through_dask: bool
) -> None:
    made, _ = known(spec)
    y = np.full(spec.y_shape, np.nan, spec.dtype)
    x = da.from_array(made.input, chunks=(1, 1, 3, 4)) if through_dask else made.input
    done = large(spec, x, made.prepared, y, tile=tile, threads=threads)
    check(spec, y, made)
    assert done.algorithm == ALGORITHM


@given(spec=specs(direction="forward"), tile=st.tuples(st.integers(1, 20), st.integers(1, 20)))
def test_tiles_cover_y_and_lend_what_they_have(spec: ConvSpec, tile: tuple[int, int]) -> None:
    tiling = Tiling.of(spec, tile)
    assert (sum(tiling.rows), sum(tiling.cols)) == (spec.p, spec.q)
    for chunks, overlap in zip(tiling.x_chunks[2:], tiling.overlap, strict=True):
        assert len(chunks) == 1 or min(chunks) >= overlap
    outputs = {problem.y_shape[2:] for problem in tiling.problems().values()}
    assert outputs == {(p, q) for p in set(tiling.rows) for q in set(tiling.cols)}


def image(tmp_path: Path, kind: str, x: Any) -> Any:
    """An image as each kind of source."""
    if kind == "npy":
        np.save(tmp_path / "x.npy", x)
        return tmp_path / "x.npy"
    if kind == "mapped":
        np.save(tmp_path / "x.npy", x)
        return np.load(tmp_path / "x.npy", mmap_mode="r")
    if kind == "zarr":
        array = zarr.create_array(tmp_path / "x.zarr", shape=x.shape, chunks=(13, 17), dtype=x.dtype)
        array[...] = x
        return tmp_path / "x.zarr"
    return da.from_array(x, chunks=(11, 30))


@pytest.mark.parametrize("kind", ["npy", "mapped", "zarr", "dask"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_every_source_and_boundary(tmp_path: Path, kind: str, boundary: str) -> None:
    for tile in ((16, 64), (9, 20)):  # whole lines, and not
        spec = ConvSpec(h=61, w=64, r=8, s=5, padding="same", boundary=boundary)
        made, _ = known(spec)
        source = image(tmp_path, kind, made.input[0, 0])
        large(spec, source, made.prepared[0, 0], tmp_path / "y.npy", tile=tile, threads=2)
        check(spec, np.load(tmp_path / "y.npy"), made)
        for left in tmp_path.glob("*.zarr"):
            shutil.rmtree(left)


@pytest.mark.parametrize("kind", ["npy", "zarr", "mapped", "zarr array", "array"])
def test_every_target(tmp_path: Path, kind: str) -> None:
    spec = ConvSpec(h=61, w=128, r=4, s=9, padding="full")
    made, _ = known(spec)
    shape = spec.y_shape[2:]
    target: Any = tmp_path / f"y.{kind}"
    if kind == "mapped":
        target = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", np.float32, shape)
    elif kind == "zarr array":  # in chunks that no tile is a multiple of
        target = zarr.create_array(tmp_path / "y.zarr", shape=shape, chunks=(7, 10), dtype="float32")
    elif kind == "array":
        target = np.full(shape, np.nan, np.float32)
    large(spec, made.input[0, 0], made.prepared[0, 0], target, tile=(16, 136), threads=2)
    y = {"npy": np.load, "zarr": zarr.open_array}[kind](target) if isinstance(target, Path) else target
    check(spec, y[...], made)


def test_many_channels_in_a_file(tmp_path: Path) -> None:
    spec = ConvSpec(n=2, c=4, h=40, w=33, k=6, r=3, s=5, groups=2, stride=(2, 1), padding=((1, 0), (2, 3)))
    made, _ = known(spec)
    np.save(tmp_path / "x.npy", made.input)
    large(spec, tmp_path / "x.npy", made.prepared, tmp_path / "y.npy", tile=(5, 50), threads=2)
    check(spec, np.load(tmp_path / "y.npy"), made)


def test_numbers_are_converted_as_they_are_read(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 255, (50, 40), np.uint8)
    np.save(tmp_path / "x.npy", x)
    w = np.random.default_rng(1).standard_normal((5, 5), np.float32)
    cb.convolve_large(tmp_path / "x.npy", w, tmp_path / "y.npy", algorithm=ALGORITHM, tile=(20, 40))
    expected = cb.conv2d(x.astype(np.float32), w, padding="same", algorithm=ALGORITHM)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, atol=0.01)


def test_auto_takes_an_algorithm_for_the_tiles() -> None:
    x = np.random.default_rng(0).standard_normal((200, 200), np.float32)
    w, y = np.random.default_rng(1).standard_normal((31, 31), np.float32), np.empty_like(x)
    done = cb.convolve_large(x, w, y, threads=1)
    np.testing.assert_allclose(y, cb.conv2d(x, w, padding="same", algorithm=ALGORITHM), atol=1e-3)
    assert "allocates" not in cb.algorithms()[done.algorithm].tags


def test_on_a_cluster(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="needs distributed: pip install 'convbench[cluster]'")
    spec = ConvSpec(h=100, w=64, r=7, s=7, padding="same", boundary="reflect")
    made, _ = known(spec)
    np.save(tmp_path / "x.npy", made.input[0, 0])
    options: dict[str, Any] = {"processes": False, "n_workers": 1, "threads_per_worker": 2, "dashboard_address": ":0"}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        for target in (tmp_path / "y.npy", tmp_path / "y.zarr"):
            large(spec, tmp_path / "x.npy", made.prepared[0, 0], target, tile=(30, 64), threads=None, client=client)
        with pytest.raises(ConvbenchError, match="give a path"):
            large(spec, tmp_path / "x.npy", made.prepared[0, 0], np.empty((100, 64), np.float32), client=client)
    check(spec, np.load(tmp_path / "y.npy"), made)
    check(spec, zarr.open_array(tmp_path / "y.zarr")[...], made)


# --- memory -------------------------------------------------------------------------------------------

CHILD = """
import json, re, sys
import numpy as np
import convbench as cb
folder, limit = sys.argv[1], int(sys.argv[2])
w = np.ones((9, 9), np.float32)
done = cb.convolve_large(f"{folder}/x.npy", w, f"{folder}/y.npy", algorithm="fft_overlap_save",
                         memory_limit_bytes=limit, threads=2, boundary="reflect")
peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
print(json.dumps([int(peak) * 1024, done.tiling.count]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_an_image_of_twice_the_limit_is_convolved_within_the_limit(tmp_path: Path) -> None:
    limit, shape = 384 * MiB, (12288, 16384)
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, shape)
    x[-1, -1] = 1
    assert x.nbytes >= 2 * limit
    del x
    words = [sys.executable, "-c", CHILD, str(tmp_path), str(limit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peak, tiles = json.loads(done.stdout)
    assert peak < limit
    assert tiles > 4
    y = np.load(tmp_path / "y.npy", mmap_mode="r")
    corner = np.zeros((8, 8))
    corner[3:, 3:] = 1
    np.testing.assert_allclose(y[-8:, -8:], corner, atol=1e-5)
    (tmp_path / "y.npy").unlink()


def test_a_block_is_not_lent_again_while_a_view_of_it_is_kept() -> None:
    spec = ConvSpec(h=8, w=8, r=3, s=3)
    buffers = TileBuffers(Tiling.of(spec, (6, 6)), 2, Resources())
    view = buffers.y((1, 1, 6, 6))[0, 0]
    view[...] = 1
    others = [buffers.y((1, 1, 6, 6)) for _ in range(3)]  # one more than there are: never waited for
    for other in others:
        other[...] = 2
    assert (view == 1).all()


def test_tiles_are_whole_lines_where_enough_of_them_fit() -> None:
    spec = ConvSpec(h=16384, w=16384, r=9, s=9, padding="same")
    assert tile_extent(spec, 64 * MiB) == (512, 16384)
    rows, cols = tile_extent(spec, MiB)
    assert rows == cols
    assert tile_extent(spec, 64 * MiB, whole_lines=False)[1] < 16384


# --- .npy files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(40, 1024), (40, 1000), (5, 3)])
def test_a_file_holds_what_was_written_aligned_or_not(tmp_path: Path, shape: tuple[int, int]) -> None:
    expected = np.random.default_rng(0).standard_normal(shape, np.float32)
    file = NpyFile.create(tmp_path / "y.npy", shape, np.float32)
    buffers = TileBuffers(Tiling.of(ConvSpec(h=shape[0], w=shape[1], r=1, s=1), shape), 1, Resources())
    for first in range(0, shape[0], 16):
        lines = slice(first, min(first + 16, shape[0]))
        for cols in (slice(0, shape[1]),) if first else (slice(0, 2), slice(2, shape[1])):
            piece = buffers.y((1, 1, lines.stop - first, cols.stop - cols.start))
            piece[...] = expected[lines, cols]
            file[slice(0, 1), slice(0, 1), lines, cols] = piece
            del piece
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), expected)
    assert (tmp_path / "y.npy").stat().st_size == PAGE + expected.nbytes


def test_a_view_of_a_mapped_array_is_read_as_what_it_is(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((40, 30), np.float32)
    np.save(tmp_path / "x.npy", x)
    half = np.load(tmp_path / "x.npy", mmap_mode="r")[20:]
    assert not isinstance(open_source(half).array, NpyFile)
    w, y = np.ones((3, 3), np.float32), np.empty((20, 30), np.float32)
    cb.convolve_large(half, w, y, algorithm=ALGORITHM)
    np.testing.assert_allclose(y, cb.conv2d(x[20:], w, padding="same", algorithm=ALGORITHM), atol=1e-5)


# --- mistakes -----------------------------------------------------------------------------------------

X, W = np.ones((40, 30), np.float32), np.ones((3, 3), np.float32)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"source": "missing.npy"}, "missing.npy: no such file"),
        ({"source": "text.npy"}, "text.npy: not a .npy file"),
        ({"source": "fortran.npy"}, "C order"),
        ({"source": "short.npy"}, "short.npy"),
        ({"source": "folder.zarr"}, "folder.zarr: not a Zarr array"),
        ({"source": "image.tiff"}, "must end in .npy or .zarr"),
        ({"source": np.ones(5)}, r"must be of real numbers \[H,W\]"),
        ({"source": [[1.0]]}, "not list"),
        ({"source": "x.npy", "target": "x.npy"}, "is the source"),
        ({"target": np.empty((4, 4), np.float32)}, r"the shape \[40, 30\], not \[4, 4\]"),
        ({"target": "nowhere/y.npy"}, "cannot be written"),
        ({"target": 3}, "target must be a path"),
        ({"source": "x.zarr", "target": "x.zarr"}, "is the source"),
        ({"target": X}, "overlap in memory"),
        ({"w": [[1.0]]}, "w must be a numpy array, not list"),
        ({"tile": (0, 5)}, "one row and one column or more"),
        ({"algorithm": "cuda_direct"}, "cuda_direct: tiles are convolved on the CPU"),
        ({"w": np.ones((2, 3, 3), np.float32)}, "does not fit an image of 1 channels"),
        ({"w": np.ones((2, 1, 3, 3), np.float32)}, "one output channel, not K=2"),
        ({"w": np.ones((3, 3), np.int64)}, "dtype 'int64' is unknown"),
        ({"algorithm": "nobody"}, "unknown algorithm 'nobody'"),
        ({"algorithm": "winograd", "w": np.ones((30, 30), np.float32)}, "winograd: "),
        ({"threads": 1000}, "threads=1000 is out of range"),
        ({"memory_limit_bytes": 100 * MiB}, "a limit of 100 MiB is too small"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.npy").write_text("no array")
    np.save("fortran.npy", np.asfortranarray(X))
    np.save("x.npy", X)
    zarr.create_array("x.zarr", data=X)
    Path("short.npy").write_bytes(Path("x.npy").read_bytes()[:2000])
    Path("folder.zarr").mkdir()
    Path("image.tiff").touch()
    with pytest.raises(ConvbenchError, match=said) as caught:
        cb.convolve_large(**{"source": X, "w": W, "target": "y.npy", "algorithm": ALGORITHM} | options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("module", ["dask", "zarr"])
def test_a_missing_library_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: str
) -> None:
    from importlib import util

    found = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *rest: None if name == module else found(name, *rest))
    with pytest.raises(ConvbenchError, match=rf"{module}.*pip install 'convbench\[large\]'"):
        cb.convolve_large(X, W, tmp_path / "y.zarr", algorithm=ALGORITHM)
