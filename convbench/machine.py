"""What this machine is: what a reader must know to believe a timing."""

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
        "governor": read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "hypervisor": "hypervisor" in cpuinfo().get("flags", ""),
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
    info = cpuinfo()
    name = info.get("model name") or platform.processor() or platform.machine()
    family = ", ".join(f"{key.split()[-1]} {info[key]}" for key in ("cpu family", "model") if key in info)
    return f"{name} ({family})" if family else name


@cache
def caches() -> dict[str, int]:
    """The sizes of one core's data caches in bytes: {"L1d": …, "L2": …, "L3": …}."""
    sizes = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind, level, size = (read_line(str(index / name)) for name in ("type", "level", "size"))
        if kind != "Instruction" and size.endswith("K"):
            sizes[f"L{level}{'d' if kind == 'Data' else ''}"] = int(size[:-1]) * 1024
    return sizes


@dataclass(frozen=True)
class Ceilings:
    """What no algorithm can pass with that many threads, or on a device."""

    threads: int
    multiply_add_flops_per_s: float
    copy_bytes_per_s: float  # read and written bytes together
    matrix_product_flops_per_s: float  # of BLAS, as NumPy or CuPy has it
    device: str = "cpu"


def stolen_s() -> float | None:
    """The time that the hypervisor gave to others, since the start, over all cores; None where it does not tell."""
    times = psutil.cpu_times()
    return float(times.steal) if hasattr(times, "steal") else None


def clock_hz(core: int) -> float | None:
    """A core's clock right now; None where the system does not tell, as in most virtual machines."""
    text = read_line(f"/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq")
    return 1e3 * float(text) if text.isdigit() else None


@cache
def cpuinfo() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; empty where there is none."""
    lines = read_line("/proc/cpuinfo").split("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}


def read_line(path: str) -> str:
    """What a file of the system says; empty where there is none."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
