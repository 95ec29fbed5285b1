"""Fuzz all that convbench reads from elsewhere: `python scripts/fuzz.py --count 100000`.

Each target of tests/fuzz/targets.py gets inputs that are nearly good, the same ones for the same seed. An input on
which anything but a one-line refusal escapes is saved, and told with its cause; `--replay FILE` tries one again. With
`--atheris` (pip install -e '.[fuzz]') the bytes are chosen by what they reach in the code, one target after another.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import traceback
import warnings
from pathlib import Path
from random import Random
from time import perf_counter, process_time

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "algorithms"), str(ROOT / "tests")]

SHARES = {
    "spec": 20, "suite": 15, "table": 15, "journal": 15, "run": 6, "plugin": 3, "metadata": 5, "image": 15,
    "dispatch": 6,
}  # fmt: skip
"""Parts of the count: what takes longer gets fewer."""
SLOW_S = 10.0
"""Of the processor: an input that takes longer is told, too."""


def main() -> int:
    """Fuzz, or replay a saved input."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--count", type=int, default=10_000, help="inputs in all")
    words.add_argument("--targets", default=",".join(SHARES), help="only these, with commas between them")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--crashes", type=Path, default=Path("fuzz-crashes"), help="where inputs are saved that crash")
    words.add_argument("--replay", type=Path, help="one saved input, <target>-….bin")
    words.add_argument("--atheris", action="store_true", help="choose inputs by coverage")
    words.add_argument("--reach", help=argparse.SUPPRESS)
    asked = words.parse_args()
    names = asked.targets.split(",")
    if asked.reach:
        return by_coverage(asked.reach, asked.count, asked.crashes)
    if asked.replay:
        from fuzz.targets import TARGETS

        TARGETS[asked.replay.name.partition("-")[0]](asked.replay.read_bytes())
        return 0
    counts = {name: max(1, asked.count * SHARES[name] // sum(SHARES[one] for one in names)) for name in names}
    counts[names[0]] += asked.count - sum(counts.values())
    failed = 0
    for name, count in counts.items():
        start = perf_counter()
        found = reached(name, count, asked.crashes) if asked.atheris else mutated_inputs(name, count, asked)
        print(f"{name:10} {count:>7,} inputs  {found} failures  {perf_counter() - start:6.1f} s{_told()}", flush=True)
        failed += found
    print(f"{'in all':10} {sum(counts.values()):>7,} inputs  {failed} failures")
    return 1 if failed else 0


def _told() -> str:
    """How many were read, and how many refused; nothing of a process that has ended."""
    from fuzz.targets import told

    words = ", ".join(f"{count:,} {word}" for word, count in sorted(told.items()))
    told.clear()
    return f"  ({words})" if words else ""


def mutated_inputs(name: str, count: int, asked: argparse.Namespace) -> int:
    """How many of `count` mutated inputs fail; of each kind of failure the first is saved."""
    from fuzz.mutations import mutated
    from fuzz.targets import TARGETS

    warnings.simplefilter("ignore")
    kinds: dict[str, int] = {}
    for index in range(count):
        raw = mutated(name, Random(f"{asked.seed}/{name}/{index}"))
        start = process_time()
        try:
            TARGETS[name](raw)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            kind = _kind(error)
            if kind not in kinds:
                print(f"{name}: {kind}: {str(error)[:200]!a}\n    {_saved(asked.crashes, name, raw)}", flush=True)
            kinds[kind] = kinds.get(kind, 0) + 1
        if (taken := process_time() - start) > SLOW_S:
            print(f"{name}: {taken:.1f} s\n    {_saved(asked.crashes, name, raw)}", flush=True)
    return sum(kinds.values())


def _kind(error: BaseException) -> str:
    """The exception, and where it left: inputs that fail there alike are one bug."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if str(ROOT) in frame.filename]
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(inside[-3:]))
    return f"{type(error).__name__} at {where}"


def _saved(folder: Path, name: str, raw: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{hashlib.sha256(raw).hexdigest()[:12]}.bin"
    path.write_bytes(raw)
    return path


# --- by coverage ------------------------------------------------------------------------------------


def reached(name: str, count: int, crashes: Path) -> int:
    """One target in a process of its own, since libFuzzer ends the process it runs in."""
    words = [sys.executable, __file__, "--reach", name, "--count", str(count), "--crashes", str(crashes)]
    return int(subprocess.run(words, check=False).returncode != 0)


def by_coverage(name: str, count: int, crashes: Path) -> int:
    """`count` inputs that atheris chooses, from the seeds on."""
    import atheris

    with atheris.instrument_imports(include=["convbench"]):
        from fuzz.seeds import seeds
        from fuzz.targets import TARGETS, scratch
    corpus = scratch() / "corpus"
    corpus.mkdir()
    for index, raw in enumerate(seeds()[name]):
        (corpus / str(index)).write_bytes(raw)
    crashes.mkdir(parents=True, exist_ok=True)
    options = [
        f"-atheris_runs={count}",
        "-max_len=65536",
        "-timeout=60",
        "-rss_limit_mb=4096",
        f"-artifact_prefix={crashes}/{name}-",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[name])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
