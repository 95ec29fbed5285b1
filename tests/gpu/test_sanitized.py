"""The kernels under the sanitizers and in every order of threads; and the faults that these would show."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from contract.harness import BrokenContractError, check_contract
from convbench.algorithm import Resources
from convbench.spec import ConvSpec
from convbench_algorithms.cuda.device import SOURCES, using
from convbench_algorithms.cuda.gathered import GatheredPlan
from gpu.shim import KernelError, needs_compiler
from gpu.shim_device import SanitizedDevice, ShimDevice
from gpu.targets import ALGORITHMS, algorithm

pytestmark = needs_compiler

SMALL = (
    "c2h9w12k2r3s3+padding=1+boundary=reflect",
    "n2c4h13w11k6r3s3+stride=2x3+padding=1+groups=2",
    "c4h9w24k4r3s3+padding=1+groups=2+dtype=float16",
    "c2h9w8k3r3s3+padding=1+direction=backward_data+dtype=float64",
    "n2c2h19w150k2r7s5+padding=3x2+groups=2+filter=rank:1",
    "c2h19w150k2r7s5+padding=3x2+groups=2+filter=rank:1+dtype=float16",
    "c2h40w9k2r3s3+padding=1+groups=2+filter=box+dtype=float64",
    "n2c3h40w41k3r13s13+groups=3+padding=6+filter=gaussian:2",
    "h150w33r7s7+padding=3+filter=gaussian:1+dtype=float64",
)
MOST = 4
"""Of an algorithm: each launch is a process, in four orders of threads."""


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_no_kernel_reads_or_writes_beside_its_arrays(name: str) -> None:
    with using(SanitizedDevice()):
        supported = [spec for spec in map(ConvSpec.parse, SMALL) if algorithm(name).supports(spec) is None]
        assert len(supported) >= 2
        for spec in supported[
            : 2 if ALGORITHMS[name].startswith("tensor") else MOST
        ]:  # whose warps meet at each product
            check_contract(algorithm(name), spec, tile_limit_bytes=2**15)


FAULTS = {
    "a halo that is one short": (
        "cuda_separable",
        "lines.cuh",
        "(COLS - 1) * V + (S - 1) * E + 1",
        "(COLS - 1) * V + (S - 2) * E + 1",
        "error|index",
    ),
    "a strip that ends too early": (
        "cuda_separable",
        "stream.cu",
        "row < p1 + R - 1;",
        "row < p1 + R - 2;",
        "error",
    ),
    "sums that move on too late": (
        "cuda_separable",
        "stream.cu",
        "r > 0 ? sums[r - 1][q]",
        "r > 0 ? sums[r][q]",
        "error",
    ),
    "a missing barrier between slices of words": (
        "cuda_implicit_gemm_tf32",
        "tensor_gemm.cu",
        "__syncthreads();  // this",
        "// this",
        "a barrier is missing|error",
    ),
    "words of a factor that are exchanged": (
        "cuda_implicit_gemm_3xtf32",
        "tensor_gemm.cu",
        "{above.low, below.low, above.high, below.high}",
        "{above.low, above.high, below.low, below.high}",
        "error",
    ),
    "lines that are turned in one factor only": (
        "cuda_implicit_gemm_tf32",
        "tensor_gemm.cu",
        "(chunk ^ 2 * b_turn(line))",
        "chunk",
        "error",
    ),
    "filters beyond the last one": (
        "cuda_implicit_gemm_half",
        "tensor_gemm.cu",
        "            if (k >= filters) continue;\n",
        "",
        "heap-buffer-overflow|error",
    ),
    "copies that are not waited for": (
        "cuda_implicit_gemm_half",
        "tensor_gemm.cu",
        "wait_for_copies<STAGES - 2>();",
        "wait_for_copies<STAGES - 1>();",
        "a barrier is missing",
    ),
    "channels beyond the last one": (
        "cuda_implicit_gemm_3xtf32",
        "padded.cu",
        "from >= 0 && channel < channels",
        "from >= 0",
        "AddressSanitizer",
    ),
    "a missing barrier between slices": (
        "cuda_implicit_gemm",
        "implicit_gemm.cu",
        "__syncthreads();  // this",
        "// this",
        "a barrier is missing|error",
    ),
    "a slice that is overwritten while it is multiplied": (
        "cuda_implicit_gemm",
        "implicit_gemm.cu",
        "load((stage + STAGES - 1) % STAGES);",
        "load((stage + STAGES) % STAGES);",
        "a barrier is missing|error",
    ),
    "an edge that is not guarded": (
        "cuda_implicit_gemm",
        "splits.cuh",
        "if (at < positions) put",
        "put",
        "heap-buffer-overflow",
    ),
    "taps outside the image": (
        "cuda_implicit_gemm",
        "implicit_gemm.cu",
        "(inside & next[i].needs) == next[i].needs",
        "inside != 0",
        "AddressSanitizer|error",
    ),
    "a part of the sums that is forgotten": (
        "cuda_implicit_gemm",
        "splits.cu",
        "split < SPLITS",
        "split < SPLITS - 1",
        "error",
    ),
    "columns that are read beyond the image": (
        "cuda_direct",
        "lines.cuh",
        "return padded < end ? cols[padded] : -1;",
        "return padded < end + 99 ? cols[padded] : -1;",
        "heap-buffer-overflow",
    ),
    "vectors that are not aligned": (
        "cuda_direct",
        "lines.cuh",
        "LEFT >= 0 && W % VECTOR == 0 &&",
        "LEFT >= 0 && W > 0 &&",
        "misaligned address",
    ),
    "a missing barrier before a tile is turned": (
        "cuda_recursive_gaussian",
        "recursive.cu",
        "        __syncthreads();\n        for (int i",
        "        for (int i",
        "a barrier is missing",
    ),
    "taps in another order": (
        "cuda_im2col",
        "gather.cu",
        "s = static_cast<int>(tap % S);",
        "s = S - 1 - static_cast<int>(tap % S);",
        "error",
    ),
    "rests in the place of what TF32 keeps": (
        "cuda_im2col_3xtf32",
        "gather.cu",
        "put(target[part * P * Q], value - tf32_of(value));",
        "put(target[part * P * Q], tf32_of(value));",
        "error",
    ),
    "a missing barrier between columns and rows": (
        "cuda_fft_fused",
        "fft_fused.cu",
        "    __syncthreads();\n    first_pass(tile, true",
        "    first_pass(tile, true",
        "a barrier is missing",
    ),
    "tiles of a pair that are exchanged": (
        "cuda_fft_fused",
        "fft_fused.cu",
        "return Complex{value(0, line, at), value(1, line, at)};",
        "return Complex{value(1, line, at), value(0, line, at)};",
        "error",
    ),
    "outputs of the other tile beyond y": (
        "cuda_fft_fused",
        "fft_fused.cu",
        "if (p0[1] + i < P && q0[1] + j < Q)",
        "if (p0[1] + i < P)",
        "heap-buffer-overflow|error|barrier",
    ),
    "a spectrum that is not conjugated": (
        "cuda_fft",
        "spectral.cu",
        "sums[k].im += a.im * b.re - a.re * b.im;",
        "sums[k].im += a.im * b.re + a.re * b.im;",
        "error",
    ),
    "tiles that read beyond the padding": (
        "cuda_fft_overlap_save",
        "gather.cu",
        "const bool inside = row < padded_rows && col < padded_cols;",
        "const bool inside = row < padded_rows + 9 && col < padded_cols + 9;",
        "heap-buffer-overflow",
    ),
    "patches that read beyond the padding": (
        "cuda_winograd_f2",
        "winograd.cu",
        "row + i < padded_rows ? rows[row + i] : -1",
        "row + i < padded_rows + 9 ? rows[row + i] : -1",
        "heap-buffer-overflow",
    ),
    "outputs of a tile beyond y": (
        "cuda_winograd_f4",
        "winograd.cu",
        "if (p0 + i < P && q0 + j < Q) ",
        "",
        "heap-buffer-overflow|error|barrier",
    ),
}
"""Algorithm, file, what stands there, what is put in its place, and what is told."""


def test_every_algorithm_has_a_fault() -> None:
    assert {name for name, *_ in FAULTS.values()} == set(ALGORITHMS)


@cache
def passes_without_a_fault(name: str, spec: ConvSpec) -> None:
    """Raises what the contract does; once for all faults of an algorithm."""
    with using(SanitizedDevice()):
        check_contract(algorithm(name), spec)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str, tmp_path: Path) -> None:
    name, file, text, instead, told = FAULTS[fault]
    for path in (*SOURCES.glob("*.cu"), *SOURCES.glob("*.cuh")):
        shutil.copy(path, tmp_path)
    source = (tmp_path / file).read_text()
    assert source.count(text) == 1
    (tmp_path / file).write_text(source.replace(text, instead))
    spec = ConvSpec.parse("n2c2h19w150k2r7s5+padding=3x2+groups=2+filter=rank:1")
    if name == "cuda_recursive_gaussian":
        spec = ConvSpec.parse("n2c3h40w41k3r13s13+groups=3+padding=6+filter=gaussian:2")
    if name.startswith("cuda_implicit_gemm_"):
        spec = ConvSpec.parse(f"c2h9w12k34r3s3+padding=1+dtype={'float16' if name.endswith('half') else 'float32'}")
    if file.startswith("splits"):
        spec = ConvSpec.parse("c16h5w7k3r3s3+padding=1")  # 144 taps, and few outputs
    if name.startswith("cuda_winograd"):
        spec = ConvSpec.parse("n2c3h7w9k4r3s3+padding=1")
    with using(SanitizedDevice(sources=tmp_path)), pytest.raises((KernelError, BrokenContractError), match=told):
        check_contract(algorithm(name), spec)
    passes_without_a_fault(name, spec)


@pytest.mark.parametrize("name", sorted(name for name in ALGORITHMS if name.startswith("cuda_implicit_gemm")))
def test_sums_that_are_split_are_whole_again(name: str) -> None:
    spec = ConvSpec.parse(f"c256h3w5k3r3s3+padding=1+dtype={'float16' if name.endswith('half') else 'float32'}")
    with using(ShimDevice()):
        plan = algorithm(name).plan(spec, Resources())
        assert isinstance(plan, GatheredPlan)
        assert plan.product.splits > 1
        check_contract(algorithm(name), spec)


def test_what_is_left_of_a_broken_output_is_not_a_number() -> None:
    """The stand-in hands out memory that is poisoned: what no kernel writes is seen."""
    assert np.isnan(SanitizedDevice().empty((3,), "float32")).all()
