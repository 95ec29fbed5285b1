"""The scheduler for `order`. Marks of the kind `xdist_group` come too late from a conftest (pytest-xdist's #1386)."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

from order import scope_of


class Scheduler(LoadScopeScheduling):
    """Hands out whole scopes, in the order in which they were collected (`--no-loadscope-reorder`)."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)
