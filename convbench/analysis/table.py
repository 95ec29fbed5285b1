"""`results.csv`: one row a cell and contender, always the full set."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from statistics import median

from convbench.analysis.contenders import Contender, Contenders, contenders
from convbench.analysis.machines import by_machine, fingerprint
from convbench.analysis.roofline import Roof, roof_of
from convbench.analysis.stages import staged
from convbench.result import Agreement, Block, Row, RunInfo


def rows(info: RunInfo, blocks: Sequence[Block], merged: Contenders | None = None) -> list[Row]:
    """The run's rows, cell by cell in the suite's order; whoever has no block is not_reached.

    `merged` are its contenders, for whoever has them already.
    """
    machine = fingerprint(info)
    return [_row(one, roof_of(info, one), machine) for one in (merged or contenders(info, blocks)).values()]


def rows_of_all(info: RunInfo, blocks: Sequence[Block]) -> list[Row]:
    """The rows of each machine that measured for the run, one machine after another."""
    return [row for part in by_machine(info, blocks) for row in rows(part.info, part.blocks)]


def _row(contender: Contender, roof: Roof | None, machine: str) -> Row:
    cell, spec, blocks, time = contender.cell, contender.cell.spec, contender.blocks, contender.time
    worst = worst_agreement(blocks)
    options = dict(option.split("=", 1) for option in spec.id.split("+")[1:])
    return Row(
        spec=spec.id,
        algorithm=contender.algorithm,
        device=cell.device,
        threads=cell.threads,
        status=contender.status,
        reason=contender.reason,
        n=spec.n,
        c=spec.c,
        h=spec.h,
        w=spec.w,
        k=spec.k,
        r=spec.r,
        s=spec.s,
        stride=options.get("stride", "1"),
        padding=options.get("padding", "0"),
        dilation=options.get("dilation", "1"),
        groups=spec.groups,
        dtype=spec.dtype,
        boundary=spec.boundary,
        filter=spec.filter,
        direction=spec.direction,
        median_s=time.value if time else None,
        ci_low_s=time.low if time else None,
        ci_high_s=time.high if time else None,
        samples=time.samples if time else 0,
        direct_gflops_per_s=spec.direct_flops / time.value / 1e9 if time else None,
        error=worst.error if worst else None,
        error_bound=worst.bound if worst else None,
        plan_s=_median(block.plan_s for block in blocks),
        prepare_s=_median(block.prepare_s for block in blocks),
        workspace_bytes=_largest(block.workspace_bytes for block in blocks),
        peak_rss_bytes=_largest(block.peak_rss_bytes for block in blocks),
        passes=time.passes if time else 0,
        precision=contender.precision,
        flip=spec.flip,
        weight=cell.weight,
        name=cell.name,
        compile_s=_total(block.compile_s for block in blocks),
        ground=cell.ground,
        cold_median_s=_median(median(block.cold_s) for block in blocks if block.cold_s),
        upload_s=_median(block.upload_s for block in blocks),
        download_s=_median(block.download_s for block in blocks),
        latency_s=_median(block.latency_s for block in blocks),
        device_bytes=_largest(block.device_bytes for block in blocks),
        of_roofline=roof.least_s(spec) / time.value if time and roof else None,
        operations=_largest(block.operations for block in blocks),
        stages=_stages(contender),
        machine=machine,
    )


def _stages(contender: Contender) -> str:
    found = staged(contender)
    return "" if found is None else json.dumps({stage.name: stage.time.value for stage in found.stages})


def worst_agreement(blocks: Sequence[Block]) -> Agreement | None:
    """The verdict of the pass that came closest to its bound, or went furthest past it; NaN is worst."""
    verdicts = [block.agreement for block in blocks if block.agreement is not None]
    return max(verdicts, key=error_share, default=None)


def error_share(agreement: Agreement) -> float:
    """Error as a share of its bound; infinite for a NaN, and for any error where the bound is 0."""
    if math.isnan(agreement.error):
        return float("inf")
    if agreement.bound == 0:
        return float("inf") if agreement.error > 0 else 0.0
    return agreement.error / agreement.bound


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _total(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _largest(values: Iterable[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
