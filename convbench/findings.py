"""What makes this machine noisy, what that does to results, and how to change it. Nothing is changed here."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from time import perf_counter

import psutil

from convbench.machine import THREAD_VARIABLES, cpuinfo, read_line, usable_cores


@dataclass(frozen=True)
class Finding:
    """One thing about this machine that bears on timings."""

    topic: str
    state: str
    noisy: bool
    effect: str
    remedy: str = ""


def findings() -> list[Finding]:
    """What makes this machine noisy, what that does to results, and how to change it. Changes nothing."""
    return [finding for look in _LOOKS if (finding := look()) is not None]


def _governor() -> Finding | None:
    governor = read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
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
        read_line("/sys/devices/system/cpu/cpufreq/boost"),
        read_line("/sys/devices/system/cpu/intel_pstate/no_turbo"),
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
    if "hypervisor" not in cpuinfo().get("flags", ""):
        return None
    return Finding(
        "virtual machine",
        "yes",
        True,
        "cores run at different speeds at different times; convbench pins contenders to the same core and changes it",
        "bare metal",
    )


def _quota() -> Finding | None:
    text = read_line("/sys/fs/cgroup/cpu.max")
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
    text = read_line("/sys/kernel/mm/transparent_hugepage/enabled")
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
    mode = read_line("/proc/sys/kernel/randomize_va_space")
    return Finding(
        "address randomisation",
        mode,
        False,
        "memory layout differs by process; fresh processes in each pass average it",
    )


def _hyper_threads() -> Finding | None:
    active = read_line("/sys/devices/system/cpu/smt/active")
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


def _unequal_cores() -> Finding | None:
    """The same work on each core in turn: the quickest of several tries, so that other load hardly counts."""
    cores = usable_cores()
    if len(cores) < 2 or not hasattr(os, "sched_setaffinity"):
        return None
    quickest_s = dict.fromkeys(cores, math.inf)
    try:
        for core in cores * 5:
            os.sched_setaffinity(0, [core])
            start_s = perf_counter()
            sum(range(200_000))
            quickest_s[core] = min(quickest_s[core], perf_counter() - start_s)
    finally:
        os.sched_setaffinity(0, cores)
    slowest, quickest = max(quickest_s, key=quickest_s.__getitem__), min(quickest_s, key=quickest_s.__getitem__)
    apart = quickest_s[slowest] / quickest_s[quickest] - 1
    return Finding(
        "unequal cores",
        f"core {slowest} is {100 * apart:.0f} % slower than core {quickest} just now",
        apart > 0.03,
        "two processes on different cores cannot be compared; convbench keeps rivals on the same one",
        f"taskset -c {quickest} convbench …, for single-threaded cells",
    )


def _oversubscription() -> Finding | None:
    import numpy  # noqa: F401
    from threadpoolctl import threadpool_info

    cores = len(usable_cores())
    most = max((pool["num_threads"] for pool in threadpool_info()), default=1)
    return Finding(
        "threads of the libraries",
        f"up to {most} on {cores} cores",
        most > cores,
        "more threads than cores wait for each other; workers are told their own number",
        f"export OMP_NUM_THREADS={cores}",
    )


def _denormals() -> Finding | None:
    import numpy as np

    def quickest_s(value: float) -> float:
        x, y = np.full(4096, value, np.float32), np.empty(4096, np.float32)
        times = []
        for _ in range(20):
            start_s = perf_counter()
            for _ in range(20):
                np.multiply(x, np.float32(0.5), out=y)
            times.append(perf_counter() - start_s)
        return min(times)

    times = quickest_s(1e-40) / quickest_s(1.0)
    return Finding(
        "numbers below 1e-38 (denormals)",
        f"{times:.1f} times the time of others",
        times > 1.5,
        "an image that fades to nothing is slower than a random one; convbench's own data hold none",
        "scale the data, or flush them to zero in the kernel",
    )


_LOOKS = (
    _virtual,
    _governor,
    _turbo,
    _hyper_threads,
    _unequal_cores,
    _load,
    _steal,
    _quota,
    _huge_pages,
    _randomisation,
    _thread_variables,
    _oversubscription,
    _blas,
    _denormals,
)
