"""Hypothesis runs the same examples every time: a red suite means a changed program, not a new draw."""

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, max_examples=60)
settings.load_profile("repeatable")
