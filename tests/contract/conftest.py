"""A card is not needed: its algorithms run on the stand-in, through the very source of their kernels."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contract.cases import STAND_IN
from convbench_algorithms.cuda.device import using


@pytest.fixture(autouse=True, scope="module")
def stand_in() -> Iterator[None]:
    with using(STAND_IN):
        yield
