"""Runs whose truth is known: true times, a disturbance per process, drift per round, noise per sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from convbench.result import Agreement, Block, Cell, Crossing, RunInfo, Status
from convbench.spec import ConvSpec

TrueTime = Callable[[Cell], float]


@dataclass
class Synthetic:
    """`pass_noise` is the standard deviation of log time from process to process, the unit of evidence."""

    true_times: Mapping[str, TrueTime]
    cells: Sequence[Cell]
    crossings: Sequence[Crossing] = ()
    passes: int = 5
    samples: int = 15
    pass_noise: float = 0.03
    sample_noise: float = 0.02
    drift: float = 0.1
    precision: Mapping[str, str] = field(default_factory=dict)

    def info(self, **changes: object) -> RunInfo:
        values: dict[str, object] = {
            "schema_version": 1,
            "suite_name": "synthetic",
            "started_utc": "2026-11-22T15:00:00Z",
            "seed": 1,
            "cells": tuple(self.cells),
            "algorithms": tuple(self.true_times),
            "precision": {name: self.precision.get(name, "strict") for name in self.true_times},
            "tags": dict.fromkeys(self.true_times, ("cpu",)),
            "crossings": tuple(self.crossings),
        }
        return RunInfo(**(values | changes))  # type: ignore[arg-type]

    def blocks(self, seed: int = 0) -> list[Block]:
        rng = np.random.default_rng(seed)
        made = []
        for index in range(self.passes):
            for cell in self.cells:
                rounds = rng.normal(0, self.drift, self.samples).cumsum() / math.sqrt(self.samples)
                for name, true_time in self.true_times.items():
                    process = rng.normal(0, self.pass_noise)
                    noise = rng.normal(0, self.sample_noise, self.samples)
                    samples = true_time(cell) * np.exp(rounds + process + noise)
                    made.append(block(cell, name, index, samples.tolist()))
        return made


def block(cell: Cell, algorithm: str, pass_index: int, samples_s: Sequence[float], **changes: object) -> Block:
    values: dict[str, object] = {
        "cell": cell.key,
        "algorithm": algorithm,
        "pass_index": pass_index,
        "status": Status.PASSED,
        "plan_s": 0.01,
        "prepare_s": 0.001,
        "batch": 1,
        "samples_s": tuple(samples_s),
        "agreement": Agreement(error=1e-7, bound=1e-6, norm="componentwise", compared=10, outputs=10),
        "workspace_bytes": 2**20,
        "peak_rss_bytes": 2**27,
        "worker_s": 0.02 + sum(samples_s),
    }
    return Block(**(values | changes))  # type: ignore[arg-type]


def failed(cell: Cell, algorithm: str, pass_index: int, status: Status, reason: str = "because") -> Block:
    return Block(cell=cell.key, algorithm=algorithm, pass_index=pass_index, status=status, reason=reason)


def kernel_cells(kernels: Sequence[int], image: int = 512, threads: int = 1) -> list[Cell]:
    return [
        Cell(
            spec=ConvSpec(h=image, w=image, r=kernel, s=kernel, padding="same"),
            threads=threads,
            axes={"image": image, "kernel": kernel},
        )
        for kernel in kernels
    ]


def power_law(at: float, kernel: float, exponent: float) -> TrueTime:
    """`at` seconds at `kernel`, growing with kernel**exponent: linear in log-log, so crossings are exact."""
    return lambda cell: at * (float(cell.axes["kernel"]) / kernel) ** exponent
