"""Hypothesis runs the same examples every time: a red suite means a changed program, not a new draw."""

import ctypes
import sys

import pytest
from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("repeatable")


M_MMAP_THRESHOLD = -3
if sys.platform.startswith("linux"):
    # Large blocks always from the system: glibc would begin to keep them, and tests that count page faults see none.
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 128 * 1024)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests are dealt out to two processes; those that start runs of their own go one after another in one of them.

    They come first: they pin their workers to cores, and so would wait for each other at the end, beside an idle core.
    """
    for item in items:
        if {"runs", "gate"} & set(item.path.parent.parts):
            item.add_marker(pytest.mark.xdist_group("runs"))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)
