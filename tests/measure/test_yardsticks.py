"""What the machine was like, by fixed computations: by one thread, and by as many as the cell has."""

import numpy as np
import pytest

from convbench.measure.yardsticks import FAR_BYTES, Yardsticks


def test_a_cell_of_one_thread_has_those_of_one_thread() -> None:
    yardsticks = Yardsticks(1)
    assert set(yardsticks.measure()) == {"compute", "memory", "product"}
    assert len(yardsticks.far) == FAR_BYTES
    assert (yardsticks.far == 255).all()


@pytest.mark.parametrize("threads", [2, 3])
def test_with_several_threads_each_does_a_part(threads: int) -> None:
    yardsticks = Yardsticks(threads)
    found = yardsticks.measure()
    assert set(found) == {"compute", "memory", "product", "compute, all threads", "memory, all threads"}
    assert min(found.values()) > 0
    assert (yardsticks.far == 0).all()  # inverted by one thread, and again by all
    assert all(np.array_equal(roots, np.sqrt(numbers)) for numbers, roots in yardsticks.each)
