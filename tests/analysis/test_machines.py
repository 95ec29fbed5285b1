"""A run of several machines, machine by machine; and the passes of a kind of them."""

from __future__ import annotations

from analysis.synthetic import Synthetic, kernel_cells, power_law
from convbench.analysis.machines import by_machine
from convbench.analysis.table import rows_of_all
from convbench.fleet.kinds import Kind
from convbench.result import Block

TIMES = {"direct": power_law(1e-3, 18, 2.0), "fft": power_law(1e-3, 18, 0.1)}
RUN = Synthetic(TIMES, kernel_cells([3, 7, 15, 31, 63]), passes=3)
HERE, THERE = {"fingerprint": "aaa", "cpu": "Here", "cores": 2}, {"fingerprint": "bbb", "cpu": "There", "cores": 4}


def moved(blocks: list[Block], machine: str) -> list[Block]:
    return [block.model_copy(update={"machine": machine}) for block in blocks]


def test_what_machines_measured_is_told_apart() -> None:
    info = RUN.info(machine=HERE, machines={"bbb": THERE})
    mine, theirs = RUN.blocks(1), RUN.blocks(2)
    parts = by_machine(info, [*mine, *moved(theirs, "bbb")])
    assert [(part.fingerprint, list(part.blocks)) for part in parts] == [("aaa", mine), ("bbb", theirs)]
    assert [part.name for part in parts] == ["Here, 2 cores (aaa)", "There, 4 cores (bbb)"]
    assert all(part.info.machines == {} for part in parts)
    found = rows_of_all(info, [*mine, *moved(theirs, "bbb")])
    assert [row.machine for row in found] == ["aaa"] * 10 + ["bbb"] * 10
    assert found[0].median_s != found[10].median_s


def test_a_machine_that_nobody_described_has_its_name_left() -> None:
    (part,) = by_machine(RUN.info(machine=HERE), moved(RUN.blocks(), "ccc"))
    assert part.info.machine == {"fingerprint": "ccc"}


def test_a_run_without_samples_is_one_part() -> None:
    (part,) = by_machine(RUN.info(machine=HERE), [])
    assert part.fingerprint == "aaa"


def test_a_pass_is_dealt_to_the_hosts_and_ends_when_all_are_home() -> None:
    info, every = RUN.info(), RUN.blocks()
    kind = Kind(HERE, passes=3, whole=True)
    kind.begin_pass(info, [], hosts=2)
    first, second = kind.hand_out(), kind.hand_out()
    assert {cell.key for cell, _ in (*first, *second)} == {cell.key for cell in info.cells}
    assert abs(len(first) - len(second)) <= 1
    kind.begin_pass(info, [], hosts=2)
    assert (kind.pass_index, len(kind.waiting)) == (0, 0)

    lost_at = first[0][0].key
    home = [block for block in every if block.pass_index == 0 and block.cell == lost_at]
    kind.take_back(first, home)
    again = kind.hand_out()
    assert [cell.key for cell, _ in again] == [cell.key for cell, _ in first[1:]]
    everything = [block for block in every if block.pass_index == 0]
    kind.take_back(again, everything)
    kind.take_back(second, everything)
    kind.begin_pass(info, everything, hosts=1)
    assert kind.pass_index == 1
    assert len(kind.hand_out()) == len(info.cells)


def test_a_kind_is_finished_after_its_last_pass_and_skips_what_it_has_no_cores_for() -> None:
    cells = [cell.model_copy(update={"threads": 1 + index}) for index, cell in enumerate(kernel_cells([3, 7, 15]))]
    run = Synthetic(TIMES, cells, passes=1)
    kind = Kind(HERE, passes=1, whole=True)
    kind.begin_pass(run.info(), [], hosts=1)
    work = kind.hand_out()
    assert sorted(cell.threads for cell, _ in work) == [1, 2]
    kind.take_back(work, run.blocks())
    kind.begin_pass(run.info(), run.blocks(), hosts=1)
    assert kind.finished
