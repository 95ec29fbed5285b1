"""Where the hosts come from: a Dask scheduler's address, this machine for a trial, or SLURM by a small file."""

from __future__ import annotations

import importlib.util
import logging
import math
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from convbench.errors import ConvbenchError
from convbench.fleet.unit import RESOURCE
from convbench.result import first_mistake

CONNECT_S: Final = 20.0
HOSTS_WITHIN_S: Final = 60.0
VALID: Final = "valid: tcp://HOST:PORT, local:N, or FILE.yaml with slurm:"


class Slurm(BaseModel):
    """`slurm:` of a cluster's file; other keys go to `dask_jobqueue.SLURMCluster` as they are."""

    model_config = ConfigDict(extra="allow")

    jobs: int = Field(ge=1)
    """Each a host, alone on its node."""
    cores: int = Field(ge=1)
    memory: str


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    slurm: Slurm


@final
class Cluster:
    """A connected client, to be closed with what it started. Raises `ConvbenchError` where there is no cluster."""

    def __init__(self, address: str) -> None:
        if importlib.util.find_spec("distributed") is None:
            raise ConvbenchError("--cluster needs Dask: pip install 'convbench[cluster]'")
        self.address = address
        self.started: Any = None
        self.patience_s = HOSTS_WITHIN_S
        """How long to wait while there is no host."""
        self.renew: Callable[[], object] = lambda: None
        """Submits again the jobs that have ended: their time was up, or others had more right to the node."""
        self.client = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        if self.started is not None:
            self.started.close()

    def _connect(self) -> Any:
        from distributed import Client, LocalCluster

        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what goes wrong is said once, by an error
        kind, _, rest = self.address.partition(":")
        if kind == "local" and rest.isdigit() and int(rest) > 0:
            self.started = LocalCluster(
                n_workers=int(rest),
                threads_per_worker=1,
                resources={RESOURCE: 1},
                memory_limit=None,  # the run has a limit of its own, and tells who passed it
                dashboard_address=":0",
                silence_logs=50,
            )
        elif self.address.endswith((".yaml", ".yml")):
            found = read_slurm(Path(self.address))
            self.started = slurm_cluster(found)
            check_job(self.address, self.started.job_script())
            self.renew = partial(self.started.scale, jobs=found.jobs)
            self.renew()
            self.patience_s = math.inf  # a queue may be long
        elif kind not in ("tcp", "tls", "ucx", "ws", "wss"):
            raise ConvbenchError(f"--cluster: '{self.address}' is no cluster; {VALID}")
        try:
            return Client(self.started or self.address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ConvbenchError(f"--cluster: {self.address}: no scheduler answers ({reason})") from error


def read_slurm(path: Path) -> Slurm:
    """A cluster's file. Raises `ConvbenchError` for what is wrong with it."""
    try:
        return _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).slurm
    except OSError as error:
        raise ConvbenchError(f"--cluster: {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConvbenchError(f"--cluster: {path}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise ConvbenchError(f"--cluster: {path}: {first_mistake(error)}") from error


def check_job(name: str, script: str) -> None:
    """Raise `ConvbenchError` where SLURM would not take the job: Dask would wait for it for ever."""
    try:
        done = subprocess.run(["sbatch", "--test-only"], input=script, capture_output=True, text=True, check=False)  # noqa: S607
    except OSError as error:
        raise ConvbenchError(f"--cluster: {name}: sbatch: {error.strerror}; start it where SLURM is") from error
    if done.returncode:
        raise ConvbenchError(f"--cluster: {name}: {' '.join(done.stderr.split())}")


def slurm_cluster(found: Slurm) -> Any:
    """Jobs of one worker process each, alone on their nodes, so that no two timings share a machine."""
    if importlib.util.find_spec("dask_jobqueue") is None:
        raise ConvbenchError("--cluster: slurm: needs dask-jobqueue: pip install 'convbench[slurm]'")
    from dask_jobqueue import SLURMCluster

    options = found.model_dump(exclude={"jobs"})
    return SLURMCluster(
        **{
            **options,
            "processes": 1,
            "scheduler_options": {"dashboard_address": ":0", **options.get("scheduler_options", {})},
            "job_extra_directives": ["--exclusive", *options.get("job_extra_directives", [])],
            "worker_extra_args": ["--resources", f"{RESOURCE}=1", *options.get("worker_extra_args", [])],
        }
    )
