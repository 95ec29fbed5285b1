"""The product over gathered columns on tensor cores: halves, float32 rounded to TF32, and float32 out of three such.

The warp's tiles and their words are those of PTX's `mma.sync`; three products for one are Ootomo & Yokota, "Recovering
single precision accuracy from Tensor Cores" (IJHPCA 36, 2022).
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Final, NamedTuple, final

from convbench.algorithm import ConvPlan, ErrorModel, Resources, Unsupported, once_stored, summation_error
from convbench.spec import ConvSpec
from convbench_algorithms.backward import unsupported_direction
from convbench_algorithms.cuda.device import TYPES, CudaAlgorithm, Kernel, unsupported_by_card
from convbench_algorithms.cuda.geometry import MOST_PLANES, Geometry
from convbench_algorithms.cuda.implicit_gemm import GemmPlan, block_tile, grid_of
from convbench_algorithms.cuda.tf32 import emulated_error, tf32_error

DEPTH: Final = 16
"""Words of a slice."""
MORE: Final = 8
"""Words of a line in shared memory beside the tile's."""
WORD_BYTES: Final = 4


class WarpTile(NamedTuple):
    """Filters × positions of a block, and of each of its eight warps."""

    filters: int
    positions: int
    warp_filters: int
    warp_positions: int

    @property
    def shared_bytes(self) -> int:
        """Two slices of either factor."""
        return 2 * DEPTH * (self.filters + self.positions + 2 * MORE) * WORD_BYTES


TILES: Final = (
    WarpTile(128, 128, 64, 32),
    WarpTile(64, 128, 32, 32),
    WarpTile(64, 64, 32, 16),
    WarpTile(32, 128, 16, 32),
)
"""Larger ones load less for each product."""


class TensorGemm(CudaAlgorithm):
    """`cuda_implicit_gemm` on tensor cores. Subclasses say of what."""

    tags: ClassVar[frozenset[str]] = frozenset({"cuda", "gemm", "tensor_cores"})
    dtype: ClassVar[str] = "float32"
    parts: ClassVar[int] = 1
    """Products on tensor cores for one."""

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if spec.dtype != self.dtype:
            return Unsupported(f"is a way to compute in {self.dtype}")
        if spec.groups > MOST_PLANES:
            return Unsupported(f"needs at most {MOST_PLANES:,} groups")
        return unsupported_direction(spec) or unsupported_by_card(spec.dtype)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        g = Geometry.of(spec)
        tile = block_tile(g, TILES)
        extents = dict(zip(("BM", "BN", "WM", "WN"), tile, strict=True))
        kernel = Kernel.of("tensor_gemm.cu", "tensor_gemm", **TYPES[g.dtype], **extents, PARTS=self.parts)
        return GemmPlan(spec, resources, kernel, grid_of(g, tile), tile.shared_bytes)


@final
class CudaImplicitGemmHalf(TensorGemm):
    """Products of halves, which are exact, and their sums in float32."""

    name: ClassVar[str] = "cuda_implicit_gemm_half"
    dtype = "float16"

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`: tensor cores cut their sums off rather than rounding them, by twice as much."""
        direct = summation_error(replace(spec, dtype="float32"))
        sums = ErrorModel("componentwise", 2 * direct.bound, f"twice {direct.source}, as tensor cores cut off")
        return once_stored(sums, spec.dtype)


@final
class CudaImplicitGemmTf32(TensorGemm):
    """Both factors rounded to TF32."""

    name: ClassVar[str] = "cuda_implicit_gemm_tf32"
    precision = "tf32"

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return tf32_error(spec)


@final
class CudaImplicitGemm3xTf32(TensorGemm):
    """What TF32 keeps of either factor, and what it leaves of one: float32's accuracy from three products."""

    name: ClassVar[str] = "cuda_implicit_gemm_3xtf32"
    precision = "emulated"
    parts = 3

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return emulated_error(spec)
