"""Every error that a user can cause, and the exit codes that scripts can rely on."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The meaning of a convbench process's exit code, the same for every command."""

    FINE = 0
    SLOWER = 1
    BAD_INPUT = 2
    DISAGREEMENT = 3
    INCONCLUSIVE = 4
    NOTHING_MEASURED = 5
    INTERRUPTED = 130


class ConvbenchError(Exception):
    """A mistake in what was asked for. Its text is one line that names the thing, the place and the choices.

    It becomes one, whatever it quotes: what people or files say may hold line ends, or be a megabyte long.
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(one_line(text))


class SpecError(ConvbenchError, ValueError):
    """A convolution problem that cannot exist, or a spec string that does not parse."""


class SuiteError(ConvbenchError, ValueError):
    """A suite file that says something wrong; the text starts with `file:line:`."""


class OperandError(ConvbenchError, ValueError):
    """An array with the wrong shape, dtype, layout or contents."""


class UnknownAlgorithmError(ConvbenchError, KeyError):
    """A name that is in no catalog; the text lists the names that are."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would show the repr, with quotes


class UnsupportedError(ConvbenchError):
    """An algorithm was asked for a spec that it does not support; the text is its reason."""


class WorkspaceTooLargeError(ConvbenchError, MemoryError):
    """A plan would need more memory than its `Resources` allow."""


class RevisionError(ConvbenchError):
    """A commit that cannot be had: an unknown name, no repository, no room for a checkout."""


class UnknownRevisionError(RevisionError):
    """A name that means no commit here."""


class NoAncestorError(UnknownRevisionError):
    """An ancestor of a commit that has fewer: the first commit of a project has no base."""


class OtherMachineError(ConvbenchError):
    """Timings of two machines, which say nothing about a commit."""


class RunFolderError(ConvbenchError):
    """A results folder that is missing, torn beyond repair, or not one at all."""


def one_line(text: str, limit: int = 4000) -> str:
    """Text that is safe to print as one line: no control characters, no lone surrogates, not endless."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def choices(names: object, limit: int = 40) -> str:
    """The valid choices, sorted and readable: `a, b, c`."""
    listed = sorted(str(name) for name in names)  # type: ignore[attr-defined]
    shown = ", ".join(listed[:limit])
    return shown if len(listed) <= limit else f"{shown}, … ({len(listed)} in all)"
