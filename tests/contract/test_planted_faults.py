"""Faults planted inside the algorithms themselves: the mistakes that each method invites."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from contract.cases import ALGORITHMS, CASES
from contract.harness import BrokenContractError, changed, check_contract
from convbench.spec import ConvSpec
from convbench.window import ArrayPixels

Function = Callable[..., Any]


@dataclass(frozen=True)
class Planted:
    """`target` ("module:name" or "module:Class.name") is replaced by `fault(the right one)`; `spec` must show it."""

    algorithm: str
    what: str
    target: str
    fault: Callable[[Function], Function]
    spec: str = ""
    tile_limit_bytes: int = 2**26

    def __str__(self) -> str:
        return f"{self.algorithm}: {self.what}"


def _result(change: Callable[[Any], Any]) -> Callable[[Function], Function]:
    """The function, with something wrong done to its result."""
    return lambda right: lambda *args, **kwargs: change(right(*args, **kwargs))


def _rolled_rows(axis: int) -> Callable[[Function], Function]:
    """The table of rows [P,R], rolled along an axis of its own; that of columns as it is."""
    return lambda right: lambda spec, of: right(spec, of) if of else np.roll(right(spec, of), 1, axis)


def _negative_tap(factors: Any) -> Any:
    factors.rows[0, 0, 0, 0] *= -1
    return factors


def _wider_step(grid: Any) -> Any:
    """Between rows of tiles, or between columns where there is but one row."""
    rows, cols = grid.step
    return replace(grid, step=(rows + 1, cols) if grid.counts[0] > 1 else (rows, cols + 1))


def _shifts_lost(right: Function) -> Function:
    return lambda spec, length, pitch: right(spec, length, pitch) // length * length


def _short_panels(jobs: Any) -> Any:
    """Each panel without its last pixel."""
    return jobs - np.array([0, 0, 0, 0, 1])


def _short_take(grid: Any) -> Any:
    return replace(grid, take=(grid.take[0], grid.take[1] // 2))


def _short_lead(grid: Any) -> Any:
    return replace(grid, lead=(grid.lead[0], grid.lead[1] - 1))


def _taps_reversed(transform_filter_for: Function) -> Function:
    def wrong(*extents: int) -> Function:
        return lambda w, *rest: transform_filter_for(*extents)(w[:, ::-1].copy(), *rest)

    return wrong


def _rows_moved(maps: Any) -> Any:
    return np.roll(maps[0], 1), maps[1]


def _one_tile_less(blocking: Any) -> Any:
    return replace(blocking, tiles=blocking.tiles - 1)


def _turned_backwards(turns: Any) -> Any:
    return turns * np.array([[1], [-1]], turns.dtype)


def _conjugate_planes(spectra: Any) -> Any:
    """Of spectra [F/lanes,K,C/groups,2,lanes]."""
    return spectra * np.array([1, -1], spectra.dtype)[:, None]


def _maps_backwards(maps: Any) -> Any:
    rows, cols = (np.where(index < 0, index, index.max() - index) for index in maps[:2])
    return maps._replace(rows=rows, cols=cols)


def _short_units(units: Any) -> Any:
    """Each without its last row of outputs."""
    return units - np.array([0, 0, 0, 1, 0, 0])


def _pixels_moved(right: Function) -> Function:
    return lambda pixels, tiling: right(ArrayPixels(np.roll(pixels.array, 1, axis=2)), tiling)


STRIDED = "n2c4h13w11k6r3s3+stride=2x3+padding=1"
TILED = "h67w131r7s5+padding=3x2"

PLANTED = [
    Planted("naive", "taps in the wrong order", "naive:source_table", _rolled_rows(1)),
    Planted(
        "direct",
        "taps in the wrong order",
        "shift_gemm:_starts",
        _result(lambda starts: starts[::-1].copy()),
    ),
    Planted("direct", "every tap at the beginning of its phase", "shift_gemm:_starts", _shifts_lost, STRIDED),
    Planted("im2col", "taps in the wrong order", "columns:source_table", _rolled_rows(1)),
    Planted("im2col", "groups exchanged", "im2col:_filters", _result(lambda w: w[::-1]), "c4h9w8k4r3s2+groups=2"),
    Planted("im2col_tiled", "taps in the wrong order", "columns:source_table", _rolled_rows(1)),
    Planted(
        "im2col_tiled", "a pixel left out between panels", "blocking:Blocking.jobs", _result(_short_panels), TILED, 4096
    ),
    Planted("gemm1x1", "channels in the wrong order", "blocking:Blocking.packed", _result(lambda W: W[:, ::-1].copy())),
    Planted("gemm1x1", "output pixels moved", "shift_gemm:index_maps", _result(_rows_moved)),
    Planted("shift_gemm", "taps in the wrong order", "shift_gemm:tap_offsets", _result(lambda taps: taps[::-1].copy())),
    Planted(
        "shift_gemm", "a row left out between tiles", "blocking:Blocking.jobs", _result(_short_panels), TILED, 4096
    ),
    Planted("separable", "wrong sign in a factor", "factored:factorise", _result(_negative_tap)),
    Planted("low_rank", "wrong sign in a factor", "factored:factorise", _result(_negative_tap)),
    Planted(
        "recursive_gaussian",
        "x itself counted on both ways",
        "recursive_gaussian:sections",
        _result(lambda weights: weights[[0, 0]]),
    ),
    *(
        Planted(name, what, f"{module}:{target}", fault)
        for name, module, of_maps in (
            ("recursive_gaussian", "two_passes", ("index_map", _result(lambda index: np.roll(index, 1)))),
            ("box", "two_passes", ("index_map", _result(lambda index: np.roll(index, 1)))),
            ("integral_image", "integral_image", ("index_maps", _result(_rows_moved))),
        )
        for what, (target, fault) in (
            ("the padded image moved", of_maps),
            ("a row left out between tiles", ("output_units", _result(_short_units))),
        )
    ),
    *(
        Planted(name, what, target, fault)
        for name in ("winograd", "winograd_f2", "winograd_f4", "winograd_f6")
        for what, target, fault in (
            ("taps in the wrong order", "winograd:filter_transform_for", _taps_reversed),
            ("rows of the image moved", "winograd:padded_maps", _result(_rows_moved)),
            ("the last tile left out", "winograd:Blocking.choose", _result(_one_tile_less)),
        )
    ),
    *(
        Planted(name, what, target, fault)
        for name in ("fft", "fft_overlap_add")
        for what, target, fault in (
            ("the filter's spectrum not conjugated", "tiled_fft:Worker.filter_spectra", _result(np.conjugate)),
            ("forgotten flip", "tiled_fft:TiledFftPlan.spread_taps", _result(lambda taps: taps[..., ::-1, ::-1])),
            ("scaled twice", "tiled_fft:Worker.filter_spectra", _result(lambda spectra: spectra / 2)),
        )
    ),
    *(
        Planted("fft_overlap_save", what, target, fault)
        for what, target, fault in (
            (
                "the filter's spectrum not conjugated",
                "folded_tiles:FoldedTilesPlan.filter_spectra",
                _result(_conjugate_planes),
            ),
            ("forgotten flip", "folded_tiles:FoldedTilesPlan.filter_maps", _result(_maps_backwards)),
            ("scaled twice", "folded_tiles:FoldedTilesPlan.filter_spectra", _result(lambda spectra: spectra / 2)),
        )
    ),
    Planted("fft", "half the image read", "fft:saving_grid", _result(_short_take)),
    Planted(
        "fft_overlap_save", "tiles folded the wrong way", "folded_tiles:half_turns", _result(_turned_backwards), TILED
    ),
    Planted("fft_overlap_save", "a seam off by one", "tile_choice:saving_grid", _result(_wider_step), TILED, 4096),
    Planted("fft_overlap_add", "a seam off by one", "fft_overlap_add:adding_grid", _result(_wider_step), TILED, 4096),
    Planted("fft_overlap_add", "tiles laid one to the right", "fft_overlap_add:adding_grid", _result(_short_lead)),
    Planted("dask_overlap", "windows a row too low", "dask_overlap:windows_of", _pixels_moved, TILED, 4096),
]


def _case(planted: Planted) -> ConvSpec:
    return changed(ConvSpec.parse(planted.spec or CASES[planted.algorithm].faults), dtype="float64")


def test_every_algorithm_of_our_own_has_one() -> None:
    """Those of kernels for cards are planted in their source: see `gpu/test_sanitized.py`."""
    own = {name for name, one in ALGORITHMS.items() if "peer" not in one.tags and one.device == "cpu"}
    assert own - {planted.algorithm for planted in PLANTED} == set()


@pytest.mark.parametrize("planted", PLANTED, ids=str)
def test_it_is_caught(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    algorithm, spec = ALGORITHMS[planted.algorithm], _case(planted)
    check_contract(algorithm, spec, tile_limit_bytes=planted.tile_limit_bytes)
    module, _, path = planted.target.partition(":")
    owner: Any = import_module(f"convbench_algorithms.{module}")
    *classes, name = path.split(".")
    for each in classes:
        owner = getattr(owner, each)
    monkeypatch.setattr(owner, name, planted.fault(getattr(owner, name)))
    with pytest.raises(BrokenContractError):
        check_contract(algorithm, spec, tile_limit_bytes=planted.tile_limit_bytes)
