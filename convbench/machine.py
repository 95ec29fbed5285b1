"""What this machine is: what a reader must know to believe a timing, and what makes it noisy."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

LIBRARIES = ("numpy", "scipy", "numba", "llvmlite", "pyfftw", "threadpoolctl", "pandas", "matplotlib", "cupy")
PEERS = (
    "torch",
    "opencv-python",
    "opencv-python-headless",
    "onnxruntime",
    "openvino",
    "ncnn",
    "scikit-image",
    "diplib",
)
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
KERNEL_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_DEBUG_CPU_TYPE", "NUMBA_CPU_NAME")


def usable_cores() -> tuple[int, ...]:
    """The cores that this process may run on, in order."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def describe() -> dict[str, object]:
    """The machine as plain values, for `run.json`."""
    return {
        "cpu": cpu_name(),
        "architecture": platform.machine(),
        "cores": len(usable_cores()),
        "logical_cpus": psutil.cpu_count() or 1,
        "caches": caches(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "hypervisor": "hypervisor" in _cpuinfo().get("flags", ""),
        "environment": {name: os.environ[name] for name in KERNEL_VARIABLES if name in os.environ},
        "fingerprint": fingerprint(),
    }


def fingerprint() -> str:
    """Equal on machines whose timings may be compared: processor, cores, memory in GiB, system."""
    facts = (
        cpu_name(),
        platform.machine(),
        len(usable_cores()),
        psutil.virtual_memory().total >> 30,
        platform.system(),
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:12]


def versions() -> dict[str, str]:
    """The installed version of each library that can move a timing."""
    found = {}
    for name in ("convbench", *LIBRARIES, *PEERS):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_commit(folder: Path) -> str:
    """The commit that `folder` stands at, with `+dirty` where the tree differs; empty outside git."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603, S607
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+dirty" if git("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


@cache
def cpu_name() -> str:
    """The processor's own name."""
    info = _cpuinfo()
    name = info.get("model name") or platform.processor() or platform.machine()
    family = ", ".join(f"{key.split()[-1]} {info[key]}" for key in ("cpu family", "model") if key in info)
    return f"{name} ({family})" if family else name


@cache
def caches() -> dict[str, int]:
    """The sizes of one core's data caches in bytes: {"L1d": …, "L2": …, "L3": …}."""
    sizes = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind, level, size = (_read(str(index / name)) for name in ("type", "level", "size"))
        if kind != "Instruction" and size.endswith("K"):
            sizes[f"L{level}{'d' if kind == 'Data' else ''}"] = int(size[:-1]) * 1024
    return sizes


@dataclass(frozen=True)
class Finding:
    """One thing about this machine that bears on timings."""

    topic: str
    state: str
    noisy: bool
    effect: str
    remedy: str = ""


@dataclass(frozen=True)
class Ceilings:
    """What no algorithm can pass with that many threads."""

    threads: int
    multiply_add_flops_per_s: float
    copy_bytes_per_s: float  # read and written bytes together


def findings() -> list[Finding]:
    """What makes this machine noisy, what that does to results, and how to change it. Changes nothing."""
    return [finding for look in _LOOKS if (finding := look()) is not None]


def _governor() -> Finding | None:
    governor = _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if not governor:
        return Finding("frequency governor", "not readable here", False, "the clock may move unseen")
    return Finding(
        "frequency governor",
        governor,
        governor != "performance",
        "short calls are timed at a lower clock than long ones",
        "sudo cpupower frequency-set -g performance",
    )


def _turbo() -> Finding | None:
    boost, no_turbo = (
        _read("/sys/devices/system/cpu/cpufreq/boost"),
        _read("/sys/devices/system/cpu/intel_pstate/no_turbo"),
    )
    if not boost and not no_turbo:
        return None
    on = boost == "1" or no_turbo == "0"
    return Finding(
        "turbo",
        "on" if on else "off",
        on,
        "one thread is clocked higher than all, and both follow the temperature",
        "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost",
    )


def _load() -> Finding | None:
    load, cores = os.getloadavg()[0], len(usable_cores())
    busy = psutil.cpu_percent(interval=0.3)
    return Finding(
        "other load",
        f"{busy:.0f} % of the processor busy now, load {load:.1f} on {cores} cores",
        busy > 10,
        "samples wait for a core; rounds and passes average it, intervals widen",
        "stop other programs, or wait",
    )


def _steal() -> Finding | None:
    before = psutil.cpu_times_percent(interval=0.3)
    if not hasattr(before, "steal"):
        return None
    return Finding(
        "time stolen by the hypervisor",
        f"{before.steal:.1f} %",
        before.steal > 0.5,
        "another guest runs on this core while a sample is taken",
        "a dedicated machine",
    )


def _virtual() -> Finding | None:
    if "hypervisor" not in _cpuinfo().get("flags", ""):
        return None
    return Finding(
        "virtual machine",
        "yes",
        True,
        "cores run at different speeds at different times; convbench pins contenders to the same core and changes it",
        "bare metal",
    )


def _quota() -> Finding | None:
    text = _read("/sys/fs/cgroup/cpu.max")
    if not text or text.startswith("max"):
        return None
    quota, period = map(int, text.split())
    return Finding(
        "cgroup CPU quota",
        f"{quota / period:.1f} cores",
        quota < period * len(usable_cores()),
        "all threads stop together when the quota is spent",
        "run without --cpus, or with whole cores (cpuset)",
    )


def _huge_pages() -> Finding | None:
    text = _read("/sys/kernel/mm/transparent_hugepage/enabled")
    if "[" not in text:
        return None
    mode = text[text.index("[") + 1 : text.index("]")]
    return Finding(
        "transparent huge pages",
        mode,
        mode == "always",
        "a large buffer is faster in one process than in the next, as it gets huge pages or not",
        "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled",
    )


def _randomisation() -> Finding | None:
    mode = _read("/proc/sys/kernel/randomize_va_space")
    return Finding(
        "address randomisation",
        mode,
        False,
        "memory layout differs by process; fresh processes in each pass average it",
    )


def _hyper_threads() -> Finding | None:
    active = _read("/sys/devices/system/cpu/smt/active")
    if not active:
        return None
    return Finding(
        "hyper-threads",
        "on" if active == "1" else "off",
        active == "1",
        "two threads on one core share its units: 'all' threads is less than it looks",
        "echo off | sudo tee /sys/devices/system/cpu/smt/control",
    )


def _thread_variables() -> Finding | None:
    found = [f"{name}={os.environ[name]}" for name in THREAD_VARIABLES if name in os.environ]
    return Finding(
        "thread variables",
        ", ".join(found) or "none set",
        False,
        "workers set all of them to the cell's own thread count, whatever they are here",
    )


def _blas() -> Finding | None:
    import numpy  # noqa: F401  (loads the BLAS that threadpoolctl then sees)
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    shown = ", ".join(f"{p['internal_api']} {p.get('version')}, kernel {p.get('architecture', '?')}" for p in pools)
    forced = os.environ.get("OPENBLAS_CORETYPE")
    return Finding(
        "BLAS",
        shown or "none found",
        forced is not None,
        f"OPENBLAS_CORETYPE={forced} chooses its kernel, perhaps not the fastest" if forced else "",
        "unset OPENBLAS_CORETYPE" if forced else "",
    )


_LOOKS = (
    _virtual,
    _governor,
    _turbo,
    _hyper_threads,
    _load,
    _steal,
    _quota,
    _huge_pages,
    _randomisation,
    _thread_variables,
    _blas,
)


@cache
def _cpuinfo() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; empty where there is none."""
    lines = _read("/proc/cpuinfo").split("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
