"""How other tools would decide on the same samples: their default rules, so that error rates can be compared.

Each takes the samples of base and candidate, block by block (a block is what one process measured), in the
order in which they were taken, and says whether it would call the candidate slower.

pytest-benchmark   `--benchmark-compare-fail=mean:10%`: one process each, means of its samples, more than 10 % apart
pyperf             `compare_to` of 20 processes with 3 values each: Student's two-sample t-test at 95 % on all values
asv continuous     processes in turn, Mann–Whitney at p < 0.002 on all values, medians more than a factor 1.1 apart
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from scipy import stats

Blocks = Sequence[Sequence[float]]

PYPERF_VALUES: Final = 3
ASV_FACTOR: Final = 1.1
ASV_P: Final = 0.002


def pytest_benchmark(base: Blocks, candidate: Blocks) -> bool:
    """Of the first process of each."""
    return float(np.mean(candidate[0])) > 1.1 * float(np.mean(base[0]))


def pyperf(base: Blocks, candidate: Blocks) -> bool:
    """Of three values of each process."""
    before, after = (np.concatenate([block[:PYPERF_VALUES] for block in side]) for side in (base, candidate))
    return float(np.mean(after)) > float(np.mean(before)) and float(stats.ttest_ind(before, after).pvalue) < 0.05


def asv(base: Blocks, candidate: Blocks) -> bool:
    """Of all values."""
    before, after = (np.concatenate([np.asarray(block) for block in side]) for side in (base, candidate))
    apart = float(np.median(after)) > ASV_FACTOR * float(np.median(before))
    return apart and float(stats.mannwhitneyu(before, after).pvalue) < ASV_P


RULES: Final[Mapping[str, Callable[[Blocks, Blocks], bool]]] = {
    "pytest-benchmark": pytest_benchmark,
    "pyperf": pyperf,
    "asv continuous": asv,
}
