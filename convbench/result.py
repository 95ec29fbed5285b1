"""The frozen records that a run leaves: cells, blocks of samples, and the rows of `results.csv`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final, Required

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    ValidationError,
)
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypedDict

from convbench.algorithm import Devices
from convbench.spec import ConvSpec

SpecId = Annotated[
    ConvSpec,
    BeforeValidator(lambda value: ConvSpec.parse(value) if isinstance(value, str) else value),
    PlainSerializer(lambda spec: spec.id, return_type=str),
]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e100, le=1e100)]
AxisValue = Annotated[int, Field(ge=-(2**63), lt=2**63)] | Number | str

# Far beyond what anyone measures. With times in these bounds no logarithm, ratio or interval of two passes overflows.
Seconds = Annotated[float, Field(ge=0, le=1e9)]
Duration = Annotated[float, Field(ge=1e-12, le=1e9)]
"""Of a call: never nothing."""
Count = Annotated[int, Field(ge=0, lt=2**63)]
Rate = Annotated[float, Field(ge=1e-3, le=1e30)]
Factor = Annotated[float, Field(ge=1e-12, le=1e12)]
MOST_NESTED: Final = 16
"""Of what stands in `machine` and `options`."""
NAME: Final = "name"
"""The coordinate of a cell that is one of a list of shapes."""


class Status(StrEnum):
    """How a contender fared in a cell. Only `PASSED` is ever timed or ranked."""

    PASSED = "passed"
    DISAGREED = "disagreed"
    UNSUPPORTED = "unsupported"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    NOT_REACHED = "not_reached"


class Record(BaseModel):
    """Frozen, and strict about what it holds."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        ser_json_inf_nan="strings",  # a NaN error must come back from the journal as NaN
    )


class Cell(Record):
    """A spec at a number of threads on a device; `axes` are its coordinates in the suite's sweep."""

    spec: SpecId
    threads: Annotated[int, Field(ge=1, lt=2**31)] = 1
    device: Devices = "cpu"
    axes: dict[str, AxisValue] = {}
    weight: Factor = 1.0
    name: str = ""
    ground: str = ""
    """The part of the suite that the cell belongs to, as the closing table has it."""

    @property
    def key(self) -> str:
        """Unique within a run: `<spec id>@<threads>t`, and the device where it is not the CPU."""
        return f"{self.spec.id}@{self.threads}t" + ("" if self.device == "cpu" else f"@{self.device}")

    @property
    def coordinates(self) -> dict[str, AxisValue]:
        """Its axes, and its name where it has one; its spec where it has neither."""
        named: dict[str, AxisValue] = {NAME: self.name} if self.name else {}
        return {**self.axes, **named} or {NAME: self.spec.id}

    def __hash__(self) -> int:
        return hash(self.key)


class Crossing(Record):
    """A crossover to look for: along `axis`, where does `to` overtake `from`?"""

    model_config = ConfigDict(populate_by_name=True)

    axis: str
    start: str
    to: str
    refine: Factor | None = None
    """The finest step of the axis, down to which cells are added beside the crossover; None for the sweep as it is."""


class Target(Record):
    """What ours is to reach on a ground (on all of them, without one): times theirs, in every cell and in the mean."""

    ground: str | None = None
    threads: int | None = None
    at_least: Factor | None = None
    mean_at_least: Factor | None = None


class Versus(Record):
    """Who is compared with whom in the closing table, the best of each in every cell."""

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    targets: tuple[Target, ...] = ()


class Quantity(StrEnum):
    """What a claim may be about; of a contender, of a problem, or of the machine."""

    TIME = "time"
    PREPARE = "prepare"
    PLAN = "plan"
    MATRIX_PRODUCT = "matrix_product"
    """The time of as many multiply-adds at the rate of the machine's own matrix product."""
    WORKSPACE = "workspace"
    IMAGE = "image"
    """The bytes of x."""
    OPERATIONS = "operations"
    """As the algorithm really does them."""
    MULTIPLY_ADDS = "multiply_adds"
    """Of direct sums."""
    ERROR = "error"
    """‖e‖₂ / ‖s‖₂ against float64."""

    @property
    def unit(self) -> str:
        """Only like can be added."""
        return _UNITS[self]

    @property
    def of_contender(self) -> bool:
        """Whether it takes an algorithm to have it."""
        return self not in (Quantity.MATRIX_PRODUCT, Quantity.IMAGE, Quantity.MULTIPLY_ADDS)


_UNITS = {
    **dict.fromkeys((Quantity.TIME, Quantity.PREPARE, Quantity.PLAN, Quantity.MATRIX_PRODUCT), "seconds"),
    **dict.fromkeys((Quantity.WORKSPACE, Quantity.IMAGE), "bytes"),
    **dict.fromkeys((Quantity.OPERATIONS, Quantity.MULTIPLY_ADDS), "a count"),
    Quantity.ERROR: "an error",
}


class Side(Record):
    """One side of a ratio: Σ of `quantities` over cells, as often as each occurs, ÷ the same sum of `per`.

    The cells are those of a place that have one of the values `at` each of these coordinates (`name` is one), or all.
    Of several `algorithms` it is the fastest in each cell; without any, each that the claim is about.
    """

    algorithms: tuple[str, ...] = ()
    quantities: tuple[Quantity, ...] = (Quantity.TIME,)
    per: Quantity | None = None
    at: dict[str, tuple[AxisValue, ...]] = {}

    @property
    def of_contender(self) -> bool:
        """Whether it takes an algorithm."""
        return any(one.of_contender for one in (*self.quantities, self.per) if one is not None)


class Ratio(Record):
    """How many times `over` is `of`? The first by itself, in its own unit, where there is no second."""

    of: Side
    over: Side | None = None

    @property
    def sides(self) -> tuple[Side, ...]:
        """Both, or the one."""
        return (self.of,) if self.over is None else (self.of, self.over)


class Break(Record):
    """From how many images with one filter is `to` cheaper than `start`, plan and filter included?"""

    start: str
    to: str


class Claim(Record):
    """What people say, as a figure that lies between two bounds; an absent one is no bound."""

    says: str
    source: str = ""
    at_least: Factor | None = None
    at_most: Factor | None = None
    about: Crossing | Ratio | Break
    algorithms: tuple[str, ...] = ()
    """Each by itself, where a ratio's side names none."""


class GateException(Record):
    """Other limits for a ground, an algorithm, or an algorithm on a ground."""

    ground: str | None = None
    algorithm: str | None = None
    max_slowdown: float | None = None
    max_plan_slowdown: float | None = None


class GateLimits(Record):
    """What a gate must find, as shares (0.05 is 5 %), and a factor for the error."""

    max_slowdown: float = 0.05
    max_plan_slowdown: float = 0.5
    max_error_growth: float = 2.0
    max_workspace_growth: float = 0.1
    cell_budget: float = 60.0
    """Seconds for a contender in a cell, until it is called inconclusive."""
    limits: tuple[GateException, ...] = ()

    def slowdown(self, cell: Cell, algorithm: str, quantity: str) -> float:
        """The slowdown of `quantity` (execute, plan or prepare) that must be found; the last exception that fits."""
        field = "max_slowdown" if quantity == "execute" else "max_plan_slowdown"
        found: float = getattr(self, field)
        for other in self.limits:
            fits = other.ground in (None, cell.ground) and other.algorithm in (None, algorithm)
            if fits and getattr(other, field) is not None:
                found = getattr(other, field)
        return found


class Agreement(Record):
    """How close an output came to the float64 reference."""

    error: float
    bound: float
    norm: str
    compared: Count
    outputs: Count
    detail: str = ""
    normwise: float | None = None
    """‖e‖₂ / ‖s‖₂, which compares algorithms of either norm; None in runs from before it was kept."""

    @property
    def agrees(self) -> bool:
        """Within the bound; a NaN error never is."""
        return self.error <= self.bound


class Block(Record):
    """One contender in one cell in one pass: one line of the journal.

    `samples_s` are seconds per execute call; sample i belongs to round i of its cell and pass, so
    contenders of the same cell and pass can be compared sample by sample. Blocks of different
    passes come from different processes; samples within a block are not independent.
    """

    cell: Annotated[str, Field(pattern=r"^[^@]+@[0-9]{1,10}t(@[a-z]+)?$")]
    algorithm: str
    pass_index: Annotated[int, Field(ge=0, lt=10**6)]
    status: Status
    reason: str = ""
    core: int | None = None
    plan_s: Seconds | None = None
    prepare_s: Seconds | None = None
    warmup_s: tuple[Seconds, ...] = ()
    batch: Count = 0
    samples_s: tuple[Duration, ...] = ()
    retaken_s: tuple[Seconds, ...] = ()
    """Samples in which the process had to wait for its core, and which were taken again."""
    switches: Count | None = None
    """How often it had to, in all samples; None in runs from before it was counted."""
    faults: Count | None = None
    """Page faults in all samples."""
    stolen_s: Number | None = None
    """Taken from this machine by its hypervisor between the first and the last sample, over all cores."""
    clock_hz: Number | None = None
    """Of the core, at the last sample, where the system tells."""
    yardsticks: dict[str, tuple[Seconds, ...]] = {}
    """Seconds of fixed computations between the samples: what the machine was like."""
    cold_s: tuple[Seconds, ...] = ()
    """Single calls after the caches were swept, where the suite asks for them."""
    stages_s: dict[str, tuple[Seconds, ...]] = {}
    """Seconds of each stage in a few calls apart from the samples, of algorithms that tell their stages."""
    upload_s: Seconds | None = None
    """x to a device; this and the next two by the host's clock, `samples_s` by the device's."""
    download_s: Seconds | None = None
    """y back."""
    latency_s: Seconds | None = None
    """A call until it is done."""
    device_bytes: Count | None = None
    """What the process held of the device's memory."""
    agreement: Agreement | None = None
    workspace_bytes: Count | None = None
    peak_rss_bytes: Count | None = None
    operations: Count | None = None
    """Floating-point operations of a call as it really does them; None where the algorithm does not count them."""
    machine: str = ""
    """The fingerprint of the machine that measured it; empty for the run's own."""
    worker_s: Seconds = 0.0
    """Wall time spent on the contender's behalf: planning, preparing, agreement, warm-up, samples."""
    compiled: Count | None = None
    """Kernels that Numba compiled, rather than found on disk, and a device's that were loaded; None in older runs."""
    compile_s: Seconds | None = None
    """What that took; `plan_s` holds it too."""


class Ceiling(TypedDict, total=False):
    """What no algorithm can pass, as `machine` keeps it."""

    threads: Required[Annotated[int, Field(ge=1, lt=2**31)]]
    multiply_add_flops_per_s: Required[Rate]
    copy_bytes_per_s: Required[Rate]
    matrix_product_flops_per_s: Rate | None
    device: str


class KnownMachine(TypedDict, total=False):
    """What reports ask of `machine`; there is more in it."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    fingerprint: str
    cores: Count
    memory_bytes: Count
    ceilings: list[Ceiling]


class KnownOptions(TypedDict, total=False):
    """What reports and `--resume` ask of `options`; there is more in it."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]
    passes: Annotated[int, Field(ge=1, le=1000)]
    budget_s: Seconds | None
    timeout_s: Seconds
    memory_limit_bytes: Count
    input: str | None
    plugins: list[str]
    wall_s: Seconds
    useful_s: Seconds
    overhead_s: Seconds
    shard: tuple[Count, Count]


@dataclass(frozen=True)
class Checked:
    """Annotates a plain mapping of which some keys are known: those must be what `known` says."""

    known: type

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        as_it_is = core_schema.plain_serializer_function_ser_schema(lambda value: value)
        return core_schema.no_info_before_validator_function(
            _shallow, handler.generate_schema(self.known), serialization=as_it_is
        )


def _shallow(value: Any, depth: int = 0) -> Any:
    """The value back, unless it nests so deep that whoever walks it cannot come back."""
    if depth > MOST_NESTED:
        raise ValueError(f"nested more than {MOST_NESTED} deep")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _shallow(part, depth + 1)
    return value


class RunInfo(Record):
    """`run.json`: everything that a reader needs to trust or repeat a run."""

    schema_version: int
    suite_name: str
    suite_description: str = ""
    suite_text: str = ""
    suite_sha256: str = ""
    started_utc: str
    seed: Count
    options: Annotated[dict[str, Any], Checked(KnownOptions)] = {}
    machine: Annotated[dict[str, Any], Checked(KnownMachine)] = {}
    machines: dict[str, Annotated[dict[str, Any], Checked(KnownMachine)]] = {}
    """Other machines that measured for it, by their fingerprints."""
    versions: dict[str, str] = {}
    git_commit: str = ""
    cells: tuple[Cell, ...] = ()
    algorithms: tuple[str, ...] = ()
    precision: dict[str, str] = {}
    tags: dict[str, tuple[str, ...]] = {}
    crossings: tuple[Crossing, ...] = ()
    reserve: tuple[Cell, ...] = ()
    """Cells that may be added where a crossover is to be refined."""
    versus: Versus | None = None
    claims: tuple[Claim, ...] = ()
    notes: tuple[str, ...] = ()

    def with_reserves(self, added: Sequence[Cell]) -> RunInfo:
        """With cells of the reserve among those to measure."""
        left = tuple(cell for cell in self.reserve if cell not in added)
        return self.model_copy(update={"cells": (*self.cells, *added), "reserve": left})


class Row(Record):
    """One cell and contender of `results.csv`: its columns, in its order (DESIGN §7)."""

    spec: str
    algorithm: str
    device: str
    threads: int
    status: Status
    reason: str
    n: int
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    stride: str
    padding: str
    dilation: str
    groups: int
    dtype: str
    boundary: str
    filter: str
    direction: str
    median_s: float | None = None
    ci_low_s: float | None = None
    ci_high_s: float | None = None
    samples: int = 0
    direct_gflops_per_s: float | None = None
    error: float | None = None
    error_bound: float | None = None
    plan_s: float | None = None
    prepare_s: float | None = None
    cold_median_s: float | None = None
    workspace_bytes: int | None = None
    peak_rss_bytes: int | None = None
    passes: int = 0
    precision: str = "strict"
    flip: bool = False
    weight: float = 1.0
    name: str = ""
    compile_s: float | None = None
    ground: str = ""
    upload_s: float | None = None
    download_s: float | None = None
    latency_s: float | None = None
    device_bytes: int | None = None
    of_roofline: float | None = None
    """The least time that direct sums could take here, by operations and by bytes, ÷ `median_s`; above 1 for an
    algorithm that needs fewer operations, or where the data lie in a cache."""
    operations: int | None = None
    """FLOP of a call as the algorithm really does them, where it counts them."""
    stages: str = ""
    """Seconds of each stage as a JSON object, of algorithms that tell them."""
    machine: str = ""
    """The fingerprint of the machine."""


class DuelRow(Record):
    """One cell of `versus.csv`: the best of ours, the best of theirs, and theirs / ours with its 95 % interval."""

    spec: str
    name: str
    ground: str
    device: str
    threads: int
    ours: str
    ours_s: float
    theirs: str
    theirs_s: float
    ratio: float
    ci_low: float | None
    ci_high: float | None
    passes: int
    machine: str = ""


def first_mistake(error: ValidationError) -> str:
    """The first of the mistakes in what was to be a record: where in the record, if anywhere, and what."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return ": ".join(part for part in (".".join(map(str, first["loc"])), first["msg"]) if part)
