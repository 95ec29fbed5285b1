"""A run on the hosts of a Dask cluster: hosts of two kinds, a lost host, a lost client, and no host at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from conftest import Cli
from convbench.analysis.machines import by_machine
from convbench.machine import usable_cores
from convbench.result import RunInfo
from convbench.store import RunFolder
from runs.conftest import only_run
from runs.test_interruption import started, wait_for_journal

distributed = pytest.importorskip("distributed", reason="needs convbench[cluster]")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a scheduler that has no hosts."""
    with distributed.LocalCluster(n_workers=0, dashboard_address=":0", silence_logs=50) as cluster:
        yield cluster.scheduler_address


@contextmanager
def hosts(scheduler: str, *cores: list[int], resource: str = "convbench=1") -> Iterator[list[subprocess.Popen[Any]]]:
    """A worker for each list of cores; fewer cores make another kind of machine."""
    words = [sys.executable, "-m", "distributed.cli.dask_worker", scheduler, "--nthreads", "1", "--no-nanny"]
    words += ["--no-dashboard", "--resources", resource]
    started = [subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in cores]
    for process, own in zip(started, cores, strict=True):
        psutil.Process(process.pid).cpu_affinity(own)
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


def begun(tiny: Path, scheduler: str, out: Path) -> subprocess.Popen[str]:
    """A run that has measured something."""
    running = started(tiny, out, "--cluster", scheduler)
    wait_for_journal(out)
    return running


def measured(folder: RunFolder) -> dict[str, Counter[tuple[str, str]]]:
    """By machine, how often each contender of each cell is in the first pass."""
    parts = by_machine(folder.info, folder.blocks)
    return {
        part.fingerprint: Counter((one.cell, one.algorithm) for one in part.blocks if not one.pass_index)
        for part in parts
    }


def every_contender(info: RunInfo) -> Counter[tuple[str, str]]:
    return Counter((cell.key, name) for cell in info.cells for name in info.algorithms)


def test_kinds_of_machines_stay_apart_and_a_lost_host_loses_nothing(scheduler: str, tiny: Path, tmp_path: Path) -> None:
    every = list(usable_cores())
    if len(every) < 2:
        pytest.skip("machines of two kinds take two cores")
    with hosts(scheduler, every, every, every[:1]) as (first, *_):
        running = begun(tiny, scheduler, tmp_path / "out")
        first.send_signal(signal.SIGKILL)
        output, complaint = running.communicate(timeout=120)
    assert running.returncode == 0, complaint
    folder = only_run(tmp_path / "out")
    found = measured(folder)
    assert len(found) == 2
    assert all(counts == every_contender(folder.info) for counts in found.values())
    assert len(folder.info.machines) == 1
    assert output.count(" cores (") >= 2


def test_a_lost_client_goes_on_where_it_was(cli: Cli, scheduler: str, tiny: Path, tmp_path: Path) -> None:
    with hosts(scheduler, list(usable_cores())):
        running = begun(tiny, scheduler, tmp_path / "out")
        running.kill()
        running.communicate()
        before = only_run(tmp_path / "out")
        assert before.blocks
        done = cli("run", "--resume", before.path, "--no-report", "--cluster", scheduler)
    assert done.returncode == 0, done.stderr
    after = only_run(tmp_path / "out")
    assert after.blocks[: len(before.blocks)] == before.blocks
    (found,) = measured(after).values()
    assert found == every_contender(after.info)


def test_a_worker_that_is_no_host_is_left_out(cli: Cli, scheduler: str, tiny: Path) -> None:
    with hosts(scheduler, list(usable_cores()), resource="gpu=1"):
        done = cli("run", tiny, "--quick", "--cluster", scheduler)
    assert done.returncode == 2
    assert f"waiting for hosts of {scheduler}" in done.stdout
    assert "has no resource convbench=1" in done.stderr
    assert "--resume" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("nowhere", "--cluster: 'nowhere' is no cluster; valid: tcp://HOST:PORT, local:N, or FILE.yaml with slurm:"),
        ("local:0", "--cluster: 'local:0' is no cluster"),
        ("missing.yaml", "--cluster: missing.yaml: No such file or directory"),
    ],
)
def test_what_is_no_cluster_is_said_in_one_line(cli: Cli, tiny: Path, address: str, complaint: str) -> None:
    done = cli("run", tiny, "--quick", "--cluster", address)
    assert done.returncode == 2
    assert done.stderr.startswith(f"convbench: {complaint}")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("slurm: {jobs: 0, cores: 2, memory: 4GiB}", "slurm.jobs"),
        ("slurm: {jobs: 2, cores: 2}", "slurm.memory"),
        ("pbs: {jobs: 2}", "slurm: Field required"),
        ("[", "not YAML"),
    ],
)
def test_a_cluster_file_says_what_is_wrong(tmp_path: Path, text: str, complaint: str) -> None:
    from convbench.errors import ConvbenchError
    from convbench.fleet.cluster import read_slurm

    path = tmp_path / "slurm.yaml"
    path.write_text(text)
    with pytest.raises(ConvbenchError, match=complaint):
        read_slurm(path)


SBATCH = """\
#!/bin/sh
[ "$1" = --test-only ] && exec grep -q "^#SBATCH --exclusive"
setsid sh -c "$(cat "$1")" > /dev/null 2>&1 &
echo $! >> {jobs}
echo Submitted batch job $!
"""
REFUSING = "#!/bin/sh\necho 'sbatch: error: invalid partition specified: nope' >&2\nexit 1\n"
SLURM = "slurm: {jobs: 1, cores: 2, memory: 4GiB}"


def pretend_slurm(folder: Path, patch: pytest.MonkeyPatch, sbatch: str) -> Path:
    """A SLURM whose jobs run here, and the file that names it."""
    pytest.importorskip("dask_jobqueue", reason="needs convbench[slurm]")
    for name, text in (("sbatch", sbatch), ("scancel", '#!/bin/sh\nkill -- "-$1"\n')):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    patch.setenv("PATH", str(folder), prepend=os.pathsep)
    patch.setenv("DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT", "1s")
    path = folder / "slurm.yaml"
    path.write_text(SLURM)
    return path


def test_a_job_that_ends_is_submitted_again(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fault: when a job's time was up, its run waited for a host for ever. So it was on a real SLURM."""
    jobs = tmp_path / "jobs"
    path = pretend_slurm(tmp_path, monkeypatch, SBATCH.format(jobs=jobs))
    running = begun(tiny, str(path), tmp_path / "out")
    os.killpg(int(jobs.read_text()), signal.SIGKILL)
    _, complaint = running.communicate(timeout=120)
    assert running.returncode == 0, complaint
    assert len(jobs.read_text().split()) == 2
    folder = only_run(tmp_path / "out")
    assert list(measured(folder).values()) == [every_contender(folder.info)]


def test_a_job_that_slurm_refuses_is_one_line(
    cli: Cli, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pretend_slurm(tmp_path, monkeypatch, REFUSING)
    done = cli("run", tiny, "--quick", "--cluster", path)
    assert done.returncode == 2
    assert done.stderr == f"convbench: --cluster: {path}: sbatch: error: invalid partition specified: nope\n"


def test_slurm_jobs_are_alone_on_their_nodes(tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue", reason="needs convbench[slurm]")
    from convbench.fleet.cluster import read_slurm, slurm_cluster

    path = tmp_path / "slurm.yaml"
    path.write_text("slurm: {jobs: 1, cores: 4, memory: 8GiB, queue: bench, walltime: '01:00:00'}")
    with slurm_cluster(read_slurm(path)) as cluster:
        script = cluster.job_script()
    for line in ("#SBATCH --exclusive", "#SBATCH -p bench", "#SBATCH --cpus-per-task=4", "--resources convbench=1"):
        assert line in script
