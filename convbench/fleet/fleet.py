"""The client's side: hosts come and go, units are handed out, and every cell that is measured is in the journal."""

from __future__ import annotations

import contextlib
import queue
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, final

from convbench import runs
from convbench.analysis.machines import by_machine, fingerprint, machine_name
from convbench.analysis.passes import Work
from convbench.errors import ConvbenchError
from convbench.fleet import unit as host_side
from convbench.fleet.cluster import Cluster
from convbench.fleet.kinds import Kind
from convbench.fleet.unit import Findings, Host, Unit
from convbench.measure.coordinator import Observer, Progress
from convbench.measure.effort import Budget
from convbench.result import Block
from convbench.store import SCHEMA_VERSION, RunFolder, identity

POLL_S: Final = 0.2
GRACE_S: Final = 10.0
"""For units to end after the budget has."""
RENEWED_EVERY_S: Final = 5.0
MOST_LOSSES: Final = 4
"""Of units, without a cell measured between them."""


@dataclass(eq=False)
class _Seat:
    """A host, and what it is at."""

    address: str
    host: Host
    future: Any = None
    work: Work = ()
    last_used_s: float = 0.0


@final
class Fleet:
    """One run on a cluster. No two units are at work on one machine at a time, however many workers it has."""

    def __init__(self, folder: RunFolder, cluster: Cluster, observer: Observer) -> None:
        self.folder = folder
        self.cluster = cluster
        self.observer = observer
        options = folder.info.options
        self.passes = runs.passes_of(folder.info)
        self.whole = options.get("whole", False)
        self.budget = Budget(options["budget_s"])
        self.kinds: dict[str, Kind] = {}
        self.seats: dict[str, _Seat] = {}
        self.refused: dict[str, str] = {}
        """Addresses, and why."""
        self.topic = f"convbench-{uuid.uuid4().hex}"
        self.arrivals: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self.kept = {identity(block) for block in folder.blocks}
        self.useful_s = 0.0
        self.overhead_s = 0.0
        self.losses = 0
        """Hosts lost since a cell came home."""
        self.idle_since = monotonic()
        """Since when no host can do what is left to do."""
        self.renewed_at = monotonic()

    def run(self) -> None:
        """Measure what the run still lacks. Whatever ends it, all that came home is in the journal.

        Raises `ConvbenchError` where there is no host or none that can do it, when the cluster goes away, and where
        another process is measuring it.
        """
        with self.folder.locked():
            self.folder.mend()
            self._run()

    def _run(self) -> None:
        try:
            self.cluster.client.subscribe_topic(self.topic, self._arrived)
            while not self.budget.spent and not self._finished():
                self._greet()
                self._call_for_hosts()
                self._take()
                self._begin_passes()
                self._hand_out()
                self._wait()
            self._await_the_last()
        except OSError as error:  # what Dask raises where a connection is closed
            raise ConvbenchError(
                f"--cluster: {self.cluster.address} is gone ({error}); {self._how_to_go_on()}"
            ) from error
        finally:
            self._leave()
            self.folder.spend(self.budget.elapsed_s, self.useful_s, self.overhead_s)

    def _finished(self) -> bool:
        """Whether every kind of machine has made its passes, or has no machine left to make them."""
        left = [kind for kind in self.kinds.values() if not kind.finished]
        served = {seat.host.fingerprint for seat in self.seats.values()}
        if not self.kinds or any(name in served and not kind.finished for name, kind in self.kinds.items()):
            self.idle_since = monotonic() if self.seats else self.idle_since
        if not left and self.kinds:
            return True
        if monotonic() - self.idle_since <= self.cluster.patience_s and not self._all_refused():
            return False
        if not self.seats:
            raise ConvbenchError(self._no_host())
        for kind in left:
            self._note(f"{machine_name(kind.machine)} is gone since pass {kind.pass_index + 1} of {self.passes}")
        return True

    def _await_the_last(self) -> None:
        """Units end with the budget, too."""
        deadline = monotonic() + GRACE_S
        while any(seat.future is not None for seat in self.seats.values()) and monotonic() < deadline:
            self._take()
            self._wait()

    def _leave(self) -> None:
        """Let go of the cluster, which may be gone; hosts then stop after the cell that they are at."""
        with contextlib.suppress(Exception):
            self.cluster.client.cancel([seat.future for seat in self.seats.values() if seat.future is not None])
            self.cluster.client.unsubscribe_topic(self.topic)

    # --- hosts --------------------------------------------------------------------------------------

    def _greet(self) -> None:
        """Look who has come, and who is gone: what the lost were at waits again."""
        present = set(self.cluster.client.nthreads())
        for address in [address for address in self.seats if address not in present]:
            self._lose(self.seats.pop(address))
        if strangers := [address for address in present if address not in self.seats and address not in self.refused]:
            answers = self.cluster.client.run(host_side.introduce, workers=strangers, on_error="return")
            for address, answer in answers.items():
                self._seat(address, answer)

    def _call_for_hosts(self) -> None:
        """Have jobs that ended submitted again; while there is no host at all, tell who watches."""
        if monotonic() - self.renewed_at > RENEWED_EVERY_S:
            self.renewed_at = monotonic()
            self.cluster.renew()
        if not self.seats:
            self.observer.waiting(f"hosts of {self.cluster.address}")

    def _all_refused(self) -> bool:
        return not self.seats and bool(self.refused) and set(self.cluster.client.nthreads()) <= set(self.refused)

    def _seat(self, address: str, answer: Any) -> None:
        if isinstance(answer, BaseException):
            self._refuse(address, f"{type(answer).__name__}: {answer}")
            return
        host = Host.model_validate_json(answer)
        ours = self.folder.info.versions.get("convbench")
        if host.schema_version != SCHEMA_VERSION or host.versions.get("convbench") != ours:
            self._refuse(address, f"has convbench {host.versions.get('convbench')}, not {ours}")
        elif host.resource < 1:
            self._refuse(address, f"has no resource {host_side.RESOURCE}=1")
        else:
            self.seats[address] = _Seat(address, host)
            self._know(host)

    def _know(self, host: Host) -> None:
        """Take a kind of machine into the run; the first one becomes its own."""
        name, info = host.fingerprint, self.folder.info
        own = fingerprint(info)
        if name not in self.kinds:
            self.kinds[name] = Kind(host.machine, self.passes, whole=self.whole)
            if not self.folder.blocks and len(self.kinds) == 1:
                self.folder.revise(machine=host.machine)
            elif name != own and name not in info.machines:
                self.folder.revise(machines={**info.machines, name: host.machine})

    def _refuse(self, address: str, reason: str) -> None:
        self.refused[address] = " ".join(reason.split())
        self._note(f"host {address} was left out: {self.refused[address]}")

    def _note(self, text: str) -> None:
        self.folder.revise(notes=(*self.folder.info.notes, text))

    def _lose(self, seat: _Seat) -> None:
        if seat.future is None:
            return
        self.cluster.client.cancel([seat.future])
        self._drain()
        self._kind(seat).take_back(seat.work, self._blocks_of(seat.host.fingerprint))
        self._bear(seat, "was lost")

    def _bear(self, seat: _Seat, what: str) -> None:
        """Raise `ConvbenchError` where hosts fail one after another: then it is what they are at."""
        self.losses += 1
        if self.losses > MOST_LOSSES:
            why = f"{self.losses} units failed one after another, the last because host {seat.address} {what}"
            cells = ", ".join(cell.key for cell, _ in seat.work[:3])
            raise ConvbenchError(f"{why}, at {cells}; {self._how_to_go_on()}")

    def _no_host(self) -> str:
        reasons = "; ".join(f"{address} {reason}" for address, reason in self.refused.items())
        start = f"dask worker {self.cluster.address} --nthreads 1 --resources {host_side.RESOURCE}=1"
        why = reasons or f"start some with: {start}"
        return f"--cluster: {self.cluster.address}: no host to measure on ({why}); {self._how_to_go_on()}"

    def _how_to_go_on(self) -> str:
        return f"what was measured is kept, go on with: convbench run --resume {self.folder.path} --cluster ADDRESS"

    # --- work ---------------------------------------------------------------------------------------

    def _begin_passes(self) -> None:
        for name, kind in self.kinds.items():
            hosts = sum(seat.host.fingerprint == name for seat in self.seats.values())
            if hosts and kind.pass_ended and (added := kind.begin_pass(self.folder.info, self._blocks_of(name), hosts)):
                self.folder.update(self.folder.info.with_reserves(added))

    def _hand_out(self) -> None:
        busy = {seat.host.home for seat in self.seats.values() if seat.future is not None}
        for seat in sorted(self.seats.values(), key=lambda seat: seat.last_used_s):
            kind = self._kind(seat)
            if seat.host.home in busy or not kind.waiting:
                continue
            busy.add(seat.host.home)
            seat.work, seat.last_used_s = kind.hand_out(), monotonic()
            unit = Unit(
                info=self.folder.info.model_copy(update={"machines": {}}),
                known=tuple(self._blocks_of(seat.host.fingerprint)),
                pass_index=kind.pass_index,
                work=tuple((cell.key, names) for cell, names in seat.work),
                budget_s=None if self.budget.seconds is None else self.budget.remaining_s,
                finds_ceilings="ceilings" not in kind.machine,
            )
            seat.future = self.cluster.client.submit(
                host_side.measure,
                unit.model_dump_json(),
                self.topic,
                workers=[seat.address],
                resources={host_side.RESOURCE: 1},
                retries=0,
                pure=False,
            )

    def _wait(self) -> None:
        try:
            self._journal(self.arrivals.get(timeout=POLL_S))
        except queue.Empty:
            return

    def _take(self) -> None:
        """Cells that have come home, and units that are at their end."""
        self._drain()
        for seat in self.seats.values():
            if seat.future is None or not seat.future.done():
                continue
            future, seat.future = seat.future, None
            if future.status == "finished":
                self._bring_home(seat, Findings.model_validate_json(future.result()))
            elif isinstance(error := future.exception() if future.status == "error" else None, ConvbenchError):
                raise ConvbenchError(f"host {seat.address}: {error}; {self._how_to_go_on()}")
            else:
                self._bear(seat, f"ended it: {type(error).__name__}: {error}")
            self._kind(seat).take_back(seat.work, self._blocks_of(seat.host.fingerprint))

    def _bring_home(self, seat: _Seat, findings: Findings) -> None:
        self._keep(findings.blocks)
        self.useful_s += findings.useful_s
        self.overhead_s = findings.overhead_s
        name, info, kind = seat.host.fingerprint, self.folder.info, self._kind(seat)
        kind.machine = {**kind.machine, **findings.machine}  # whose ceilings only one of the units has found
        if name == fingerprint(info):
            self.folder.revise(machine=kind.machine)
        else:
            self.folder.revise(machines={**info.machines, name: kind.machine})

    def _arrived(self, event: tuple[float, list[str]]) -> None:
        """Called by the client's own thread."""
        self.arrivals.put(event[1])

    def _drain(self) -> None:
        while not self.arrivals.empty():
            self._journal(self.arrivals.get())

    def _journal(self, lines: Iterable[str]) -> None:
        self._keep([Block.model_validate_json(line) for line in lines])

    def _keep(self, found: Iterable[Block]) -> None:
        """Append what is new: a cell comes home by itself, and again at its unit's end."""
        info = self.folder.info
        own = fingerprint(info)
        named = [block.model_copy(update={"machine": ""}) if block.machine == own else block for block in found]
        fresh = [block for block in named if identity(block) not in self.kept]
        if not fresh:
            return
        self.folder.append(fresh)
        self.kept.update(map(identity, fresh))
        self.losses = 0
        cells = {cell.key: cell for cell in info.cells}
        for key in dict.fromkeys(block.cell for block in fresh):
            blocks = tuple(block for block in fresh if block.cell == key)
            kind = self.kinds[blocks[0].machine or own]
            kind.done += 1
            self.observer.progress(
                Progress(
                    kind.pass_index,
                    self.passes,
                    kind.done,
                    kind.total,
                    cells[key],
                    blocks,
                    self.budget.elapsed_s,
                    self.budget.remaining_s,
                )
            )

    def _blocks_of(self, name: str) -> list[Block]:
        """What a kind of machine has measured, as its own."""
        parts = by_machine(self.folder.info, self.folder.blocks)
        return [block for part in parts if part.fingerprint == name for block in part.blocks]

    def _kind(self, seat: _Seat) -> Kind:
        return self.kinds[seat.host.fingerprint]
