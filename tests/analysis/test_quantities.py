"""Numbers as people read them."""

from __future__ import annotations

import pytest

from convbench.analysis.quantities import number_range, within


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(21.2, 26.4, "21–26"), (15.52, 16.48, "15.5–16.5"), (1.73, 1.78, "1.73–1.78"), (0.5, 3, "0.5–3.0"), (0, 4, "0–4")],
)
def test_a_range_has_the_decimals_it_is_worth_and_no_end_rounds_to_nothing(low, high, shown):
    assert number_range(low, high) == shown


def test_a_value_has_the_decimals_of_its_interval():
    assert within(22.8, 21.2, 26.4) == "23 (95 %: 21–26)"
    assert within(2.04, 0.5, 3) == "2.0 (95 %: 0.5–3.0)"
