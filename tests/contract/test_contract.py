"""What every built-in algorithm keeps, one test a clause."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from contract.cases import ALGORITHMS, CASES, case, must_run
from contract.harness import (
    GuardedOutput,
    changed,
    check_contract,
    check_precision,
    convolve,
    expect,
    expected,
    known,
    planned,
    prepared,
    thread_count,
)
from convbench.agreement import full_reference
from convbench.algorithm import ConvAlgorithm, Unsupported
from convbench.errors import WorkspaceTooLargeError
from convbench.operands import Operands, operands
from convbench.spec import ConvSpec
from spec_strategy import specs

RANDOM_SPECS = settings(max_examples=24, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])

every_name = pytest.mark.parametrize("name", sorted(ALGORITHMS))
every_algorithm = pytest.mark.parametrize("name", [case(name) for name in sorted(ALGORITHMS)])
every_algorithm_and_dtype = pytest.mark.parametrize(
    ("name", "dtype"),
    [case(name, dtype, id=f"{name}-{dtype}") for name in sorted(CASES) for dtype in CASES[name].dtypes],
)


def dtypes_of_case(name: str, index: int) -> tuple[str, ...]:
    """Each is compiled anew: the first one, and in every second case another one."""
    first, *others = CASES[name].dtypes
    if CASES[name].compiled_by_size and index:
        return (first,)
    return (first, others[index // 2 % len(others)]) if others and index % 2 == 0 else (first,)


def listed(name: str) -> list[ConvSpec]:
    """The specs that an algorithm must run, each in its dtypes."""
    return [
        changed(spec, dtype=dtype) for index, spec in enumerate(must_run(name)) for dtype in dtypes_of_case(name, index)
    ]


every_case = pytest.mark.parametrize(
    ("name", "spec", "threads"),
    [
        case(name, spec, threads, id=f"{threads}-{name}-{spec.id}")
        for name in sorted(CASES)
        for spec in listed(name)
        for threads in ((1, 2) if ALGORITHMS[name].device == "cpu" else (1,))
    ],
)


def forward_case(name: str) -> ConvSpec:
    """A forward problem of several channels, in float64 where that is supported, and nothing in it is symmetric."""
    return changed(ConvSpec.parse(CASES[name].faults), dtype=CASES[name].dtypes[-1])


# --- the catalog --------------------------------------------------------------------------------------


def test_every_algorithm_has_cases_that_it_must_run() -> None:
    assert set(ALGORITHMS) - set(CASES) == set()
    assert all(CASES[name].must_run for name in ALGORITHMS)


@every_name
def test_what_it_is_called(name: str) -> None:
    algorithm = ALGORITHMS[name]
    assert algorithm.name == name
    assert algorithm.device in algorithm.tags
    assert type(algorithm).__doc__


@every_name
@settings(max_examples=100)
@given(spec=specs())
def test_support_is_told_with_a_reason_and_never_raises(name: str, spec: ConvSpec) -> None:
    for dtype in ("float16", spec.dtype):
        answer = ALGORITHMS[name].supports(changed(spec, dtype=dtype))
        if answer is not None:
            assert isinstance(answer, Unsupported)
            assert len(answer.reason) > 5
            assert "\n" not in answer.reason


# --- agreement ----------------------------------------------------------------------------------------


@every_case
def test_it_agrees_on_the_cases_that_it_must_run(name: str, spec: ConvSpec, threads: int) -> None:
    assert ALGORITHMS[name].supports(spec) is None
    check_contract(ALGORITHMS[name], spec, threads)


@every_algorithm_and_dtype
def test_it_computes_in_the_precision_that_it_says(name: str, dtype: str) -> None:
    if ALGORITHMS[name].precision == "strict":
        check_precision(ALGORITHMS[name], changed(forward_case(name), dtype=dtype))


@every_algorithm
def test_it_agrees_on_random_specs(name: str) -> None:
    """Of kernels that take seconds to compile, those that the list has compiled."""
    ran = []
    kernel = CASES[name].kernel
    compiled = {(kernel(spec), spec.dtype) for spec in listed(name)} if kernel else set()

    @RANDOM_SPECS
    @given(specs(**CASES[name].random))
    def agrees(spec: ConvSpec) -> None:
        assume(ALGORITHMS[name].supports(spec) is None)
        assume(kernel is None or (kernel(spec), spec.dtype) in compiled)
        check_contract(ALGORITHMS[name], spec, threads=1 + len(ran) % 2)
        ran.append(spec)

    agrees()
    assert len(ran) >= 15


@every_algorithm
def test_it_agrees_whatever_the_tile_limit(name: str) -> None:
    for spec in must_run(name):
        check_contract(ALGORITHMS[name], spec, threads=2, tile_limit_bytes=4096)


@every_algorithm
def test_threads_change_nothing_but_rounding(name: str) -> None:
    algorithm = ALGORITHMS[name]
    for spec in must_run(name):
        made, reference = known(spec)
        one, two = convolve(algorithm, spec, made, threads=1), convolve(algorithm, spec, made, threads=2)
        expect(two, expected(one, reference.scale.reshape(one.shape)), algorithm.error_model(spec), slack=2)


@every_algorithm
def test_smooth_positive_and_ill_scaled_inputs_agree_too(name: str) -> None:
    """Normal inputs cancel; these do not, and their errors are the largest that a correct program makes."""
    algorithm = ALGORITHMS[name]
    for spec in must_run(name):
        made, _ = known(spec)
        ramp = np.linspace(0.5, 1, made.input.size).reshape(made.input.shape)
        spike = 1e6 if spec.dtype != "float16" else 100.0  # whose largest number is 65504
        spikes = np.where(np.arange(made.input.size) % 37 == 0, spike, 1.0).reshape(made.input.shape)
        for x in (ramp, made.input * spikes):
            for w in (made.prepared, np.abs(made.prepared)):
                if w is not made.prepared and spec.filter != "random":
                    continue  # the absolute values of a filter have another rank
                given_operands = Operands(w, x.astype(spec.dtype))
                reference = full_reference(spec, given_operands.prepared, given_operands.input)
                expect(convolve(algorithm, spec, given_operands), reference, algorithm.error_model(spec))


# --- the algebra of convolution -----------------------------------------------------------------------


@every_algorithm
def test_it_is_linear_in_x(name: str) -> None:
    algorithm, spec = ALGORITHMS[name], forward_case(name)
    first, second = known(spec)[0], operands(spec, 99)
    total = Operands(first.prepared, 4 * first.input + second.input)
    separate = [convolve(algorithm, spec, Operands(first.prepared, x)) for x in (first.input, second.input)]
    sizes = Operands(np.abs(first.prepared), 4 * np.abs(first.input) + np.abs(second.input))
    scale = full_reference(spec, sizes.prepared, sizes.input).values
    together = expected(4 * separate[0] + separate[1], scale.reshape(spec.output_shape))
    expect(convolve(algorithm, spec, total), together, algorithm.error_model(spec), slack=2)


@every_algorithm
@pytest.mark.parametrize("flip", [False, True])
def test_an_impulse_gives_the_flipped_filter_back(name: str, flip: bool) -> None:
    algorithm, spec = ALGORITHMS[name], changed(forward_case(name), flip=flip)
    w = known(spec)[0].prepared
    (top, _), (left, _) = spec.padding
    n, c, h, col = 1, 2, 5, 7
    x, y = np.zeros(spec.x_shape, spec.dtype), np.zeros(spec.y_shape)
    x[n, c, h, col] = 1
    group, channel = divmod(c, spec.c // spec.groups)
    seers = slice(group * spec.k // spec.groups, (group + 1) * spec.k // spec.groups)  # the output channels that see c
    for r, s in np.ndindex(spec.r, spec.s):
        tap = (-1 - r, -1 - s) if flip else (r, s)
        y[n, seers, h + top - r, col + left - s] = w[seers, channel, *tap]
    expect(convolve(algorithm, spec, Operands(w, x)), expected(y, np.abs(y)), algorithm.error_model(spec))


@every_algorithm
def test_shifting_x_shifts_y(name: str) -> None:
    algorithm, spec = ALGORITHMS[name], forward_case(name)
    made, reference = known(spec)
    still = convolve(algorithm, spec, made)
    shifted = convolve(algorithm, spec, Operands(made.prepared, np.roll(made.input, (2, 3), axis=(2, 3))))
    (top, _), (left, _) = spec.padding
    rows, cols = slice(top, spec.h - spec.r + top - 1), slice(left, spec.w - spec.s + left - 2)  # that see x alone
    scale = reference.scale.reshape(spec.y_shape)
    inside = expected(still[..., rows, cols], scale[..., rows, cols])
    moved = shifted[..., rows.start + 2 : rows.stop + 2, cols.start + 3 : cols.stop + 3]
    expect(moved, inside, algorithm.error_model(spec), slack=2)


@every_algorithm
def test_backward_data_is_the_adjoint_of_forward(name: str) -> None:
    """|⟨y, dy⟩ − ⟨x, dx⟩| ≤ bound·(‖s_y‖·‖dy‖ + ‖s_dx‖·‖x‖), by Cauchy and Schwarz, in either norm."""
    algorithm = ALGORITHMS[name]
    spec = forward_case(name)
    backward = changed(spec, direction="backward_data")
    if algorithm.supports(backward) is not None:
        assert not any(case.direction == "backward_data" for case in must_run(name))
        return
    (forward_operands, forward), dy = known(spec), operands(backward, 5).input
    w, x = forward_operands.prepared, forward_operands.input
    y, dx = convolve(algorithm, spec, forward_operands), convolve(algorithm, backward, Operands(w, dy))
    scale = full_reference(backward, w, dy).scale
    allowed = algorithm.error_model(spec).bound * np.linalg.norm(forward.scale) * np.linalg.norm(dy)
    allowed += algorithm.error_model(backward).bound * np.linalg.norm(scale) * np.linalg.norm(x)
    assert abs(np.vdot(y, dy) - np.vdot(x, dx)) <= allowed


# --- plan, prepare, execute ---------------------------------------------------------------------------


@every_algorithm
def test_two_filters_of_one_plan_do_not_disturb_each_other(name: str) -> None:
    algorithm, spec = ALGORITHMS[name], forward_case(name)
    model = algorithm.error_model(spec)
    pair = [known(spec)[0], operands(spec, 99)]
    with thread_count(1):
        plan = planned(algorithm, spec)
        convs = [prepared(plan, made.prepared) for made in pair]
        for i in (0, 1, 0):
            y = np.full(spec.output_shape, np.nan, spec.dtype)
            convs[i].execute(pair[i].input, y)
            expect(y, full_reference(spec, pair[i].prepared, pair[i].input), model)


@every_algorithm
def test_it_reads_each_new_x(name: str) -> None:
    algorithm, spec = ALGORITHMS[name], forward_case(name)
    made, x = known(spec)[0], operands(spec, 99).input
    with thread_count(1):
        conv = prepared(planned(algorithm, spec), made.prepared)
        for each in (made.input, x, made.input):
            y = np.full(spec.output_shape, np.nan, spec.dtype)
            conv.execute(each, y)
            expect(y, full_reference(spec, made.prepared, each), algorithm.error_model(spec))


@every_algorithm
def test_backward_weights_reads_dy_when_executed(name: str) -> None:
    algorithm = ALGORITHMS[name]
    spec = changed(forward_case(name), direction="backward_weights")
    if algorithm.supports(spec) is not None:
        assert not any(case.direction == "backward_weights" for case in must_run(name))
        return
    made = operands(spec, 5)
    with thread_count(1):
        conv = prepared(planned(algorithm, spec), made.prepared)
        np.multiply(made.prepared, -3, out=made.prepared)
        made.prepared[0] += 1
        y = np.full(spec.output_shape, np.nan, spec.dtype)
        conv.execute(made.input, y)
    expect(y, full_reference(spec, made.prepared, made.input), algorithm.error_model(spec))


@every_algorithm
def test_arrays_need_no_alignment_beyond_their_elements(name: str) -> None:
    algorithm = ALGORITHMS[name]
    for spec in must_run(name):
        made, reference = known(spec)
        output = GuardedOutput(spec, guard=3)
        buffer = np.empty(made.input.size + 3, spec.dtype)
        x = buffer[3:].reshape(made.input.shape)
        x[...] = made.input
        with thread_count(2):
            prepared(planned(algorithm, spec, 2), made.prepared).execute(x, output.y)
        output.check()
        expect(output.y, reference, algorithm.error_model(spec))


# --- memory -------------------------------------------------------------------------------------------


@every_algorithm
def test_workspace_is_reserved_before_it_is_taken(name: str) -> None:
    algorithm = ALGORITHMS[name]
    needed = False
    for spec in must_run(name):
        w = known(spec)[0].prepared
        with thread_count(1):
            plan = planned(algorithm, spec)
            assert plan.workspace_bytes >= 0
            prepared(planned(algorithm, spec, memory_limit_bytes=plan.workspace_bytes), w)
            if plan.workspace_bytes:
                needed = True
                with pytest.raises(WorkspaceTooLargeError):
                    planned(algorithm, spec, memory_limit_bytes=0)
    assert needed or "peer" in algorithm.tags


def _large(algorithm: ConvAlgorithm, name: str) -> ConvSpec:
    """A spec whose smallest array is many times what `execute` may allocate."""
    spec = ConvSpec.parse(CASES[name].faults)
    groups = 16 if spec.groups == spec.c else spec.groups
    spec = changed(spec, n=1, c=16, k=16, h=64, w=64, groups=groups, dtype=CASES[name].dtypes[0])
    assert algorithm.supports(spec) is None
    return spec


@every_algorithm
def test_what_plan_and_prepare_hold_is_told_as_workspace(name: str) -> None:
    algorithm = ALGORITHMS[name]
    spec = _large(algorithm, name)
    made = operands(spec, 0)
    y = np.empty(spec.output_shape, spec.dtype)
    with thread_count(1):
        prepared(planned(algorithm, spec), made.prepared).execute(made.input, y)  # compiles
        tracemalloc.start()
        try:
            plan = planned(algorithm, spec)
            conv = prepared(plan, made.prepared)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        conv.execute(made.input, y)
    untold = 64 * 1024 + 2 * made.prepared.nbytes  # index tables and the filter itself
    assert held <= plan.workspace_bytes + untold
