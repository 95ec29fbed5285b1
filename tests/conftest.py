"""Hypothesis runs the same examples every time: a red suite means a changed program, not a new draw."""

import pytest
from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests are dealt out to two processes; those that start runs of their own go one after another in one of them."""
    for item in items:
        for group in ("runs", "gate"):
            if group in item.path.parent.parts:
                item.add_marker(pytest.mark.xdist_group(group))
