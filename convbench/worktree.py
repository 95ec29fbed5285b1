"""A commit of a repository, checked out beside its working tree for as long as somebody needs it.

Checkouts lie in the user's cache folder at a place that depends on the repository and the commit only, so that
kernels compiled from one are found again by the next. Whoever holds one locks it; what a killed process has
left behind is removed by the next one that looks.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import platformdirs

from convbench.errors import NoAncestorError, RevisionError, UnknownRevisionError

MOST_AT_ONCE: Final = 16
HOOK_VARIABLES: Final = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
"""What git sets for its hooks, and what would make it look at the wrong tree here."""


ANCESTOR: Final = re.compile(r"(.+?)[~^][~^\d]*")
"""`HEAD~1`, `main^`."""


@dataclass(frozen=True)
class Checkout:
    """A commit's files."""

    commit: str
    root: Path
    kernels: Path
    """Where Numba may keep what it compiles from them: outlives the checkout."""


def repository(folder: Path) -> Path:
    """The root of the working tree that `folder` is in. Raises `RevisionError` outside any."""
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel"))
    except RevisionError as error:
        raise RevisionError(f"{folder}: --against a revision needs a git working tree ({error})") from error


def resolve(root: Path, revision: str) -> str:
    """The full hash of the commit that `revision` names.

    Raises `UnknownRevisionError`, naming some that there are; `NoAncestorError` for one before the first.
    """
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except RevisionError:
        shallow = _git(root, "rev-parse", "--is-shallow-repository") == "true"
        descendant = ANCESTOR.fullmatch(revision)
        if descendant is not None and not shallow:
            resolve(root, descendant[1])
            raise NoAncestorError(f"--against {revision}: {descendant[1]} has no such ancestor") from None
        known = _git(root, "for-each-ref", "--count=8", "--format=%(refname:short)", "refs/heads", "refs/tags").split()
        hint = "; the clone is shallow: fetch more history (fetch-depth: 0)" if shallow else ""
        places = ", ".join([*known, "HEAD~1", "a commit's hash"])
        raise UnknownRevisionError(f"--against {revision}: no such revision; valid: {places}{hint}") from None


def changes(root: Path) -> list[str]:
    """The files of the working tree that differ from its commit, untracked ones included."""
    return [line[3:] for line in _git(root, "status", "--porcelain", strip=False).splitlines()]


@contextmanager
def checked_out(root: Path, commit: str) -> Iterator[Checkout]:
    """`commit` of the repository at `root`, removed again at the end, however that comes about."""
    shelf = _cache_folder() / hashlib.sha256(str(_common_folder(root)).encode()).hexdigest()[:12]
    sweep(root, shelf)
    place, lock = _claim(shelf, commit)
    try:
        _git(root, "worktree", "add", "--detach", "--force", str(place), commit)
        yield Checkout(commit, place, shelf / "kernels")
    finally:
        _remove(root, place)
        lock.close()


def sweep(root: Path, shelf: Path) -> None:
    """Remove the checkouts whose holder is gone."""
    for path in shelf.glob("*.lock"):
        with path.open("a") as lock:
            if _locked(lock):
                _remove(root, path.with_suffix(""))


def _claim(shelf: Path, commit: str) -> tuple[Path, IO[str]]:
    """A free place for the commit, the same one each time unless it is in use right now."""
    try:
        shelf.mkdir(parents=True, exist_ok=True)
        for attempt in range(MOST_AT_ONCE):
            place = shelf / (commit[:12] + (f"-{attempt}" if attempt else ""))
            lock = place.with_suffix(".lock").open("a")
            if _locked(lock):
                return place, lock
            lock.close()
    except OSError as error:
        raise RevisionError(f"{shelf}: cannot hold a checkout: {error.strerror}") from error
    raise RevisionError(f"{shelf}: {MOST_AT_ONCE} comparisons with {commit[:12]} are under way already")


def _locked(lock: IO[str]) -> bool:
    """Whether the lock is ours now; the system lets go of it when its holder dies."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove(root: Path, place: Path) -> None:
    with suppress(RevisionError):  # what git does not know as a working tree is only a folder
        _git(root, "worktree", "remove", "--force", "--force", str(place))
    shutil.rmtree(place, ignore_errors=True)
    with suppress(RevisionError):
        _git(root, "worktree", "prune")


def _common_folder(root: Path) -> Path:
    """The repository's own .git, the same for all of its working trees."""
    return (root / _git(root, "rev-parse", "--git-common-dir")).resolve()


def _cache_folder() -> Path:
    return platformdirs.user_cache_path("convbench") / "checkouts"


def _git(folder: Path, *words: str, strip: bool = True) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-c", "core.hooksPath=/dev/null", *words],  # noqa: S607
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name not in HOOK_VARIABLES},
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
    except FileNotFoundError as error:
        raise RevisionError("git is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise RevisionError(f"git {words[0]} took longer than two minutes") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines()
        raise RevisionError(lines[-1] if lines else f"git {words[0]} failed") from error
    return done.stdout.strip() if strip else done.stdout
