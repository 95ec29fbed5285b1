"""What the kernels are compiled for, without being run: the sizes at which they are to be fast."""

from __future__ import annotations

import importlib

from convbench.algorithm import ConvAlgorithm

FILTERS = tuple(f"h4096w4096r{k}s{k}+padding={k // 2}" for k in (3, 5, 7, 9, 15, 31))
LAYERS = (
    "n8c3h224w224k64r7s7+padding=3+stride=2",
    "n16c64h56w56k64r3s3+padding=1",
    "n64c128h28w28k128r3s3+padding=1",
    "n64c128h28w28k128r3s3+padding=1+boundary=reflect",
    "n1c512h14w14k512r3s3+padding=1",
    "n16c192h28w28k32r5s5+padding=2",
)
DEPTHWISE = ("n16c128h56w56k128r3s3+padding=1+groups=128", "n16c128h56w56k128r5s5+padding=2+groups=128+stride=2")
DOUBLE = ("h2048w2048r7s7+padding=3+dtype=float64", "n4c64h28w28k64r3s3+padding=1+dtype=float64")
HALF = (
    "h4096w4096r5s5+padding=2+dtype=float16",
    "h4096w4096r9s9+padding=4+filter=gaussian:1.5+dtype=float16",
    "n16c128h56w56k128r3s3+padding=1+groups=128+dtype=float16",
    "n16c64h56w56k64r3s3+padding=1+dtype=float16",
    "n64c128h28w28k128r3s3+padding=1+dtype=float16",
)
GAUSSIANS = tuple(f"h4096w4096r{k}s{k}+padding={k // 2}+filter=gaussian:{k / 6:.3g}" for k in (3, 9, 31, 63))
WIDE_GAUSSIANS = (
    "h4096w4096r161s161+padding=80+filter=gaussian:20",
    "h2048w2048r41s41+padding=20+filter=gaussian:5+dtype=float64",
)
EVERYTHING = (*FILTERS, *LAYERS, *DEPTHWISE, *DOUBLE, *HALF, *GAUSSIANS, *WIDE_GAUSSIANS)

ALGORITHMS = {
    "cuda_direct": "direct:CudaDirect",
    "cuda_separable": "separable:CudaSeparable",
    "cuda_recursive_gaussian": "recursive_gaussian:CudaRecursiveGaussian",
    "cuda_im2col": "im2col:CudaIm2col",
    "cuda_im2col_3xtf32": "im2col:CudaIm2col3xTf32",
    "cuda_implicit_gemm": "implicit_gemm:CudaImplicitGemm",
    "cuda_implicit_gemm_half": "tensor_gemm:CudaImplicitGemmHalf",
    "cuda_implicit_gemm_tf32": "tensor_gemm:CudaImplicitGemmTf32",
    "cuda_implicit_gemm_3xtf32": "tensor_gemm:CudaImplicitGemm3xTf32",
    "cuda_winograd_f2": "winograd:CudaWinogradF2",
    "cuda_winograd_f4": "winograd:CudaWinogradF4",
    "cuda_fft": "fft:CudaFft",
    "cuda_fft_fused": "fft_fused:CudaFftFused",
    "cuda_fft_overlap_save": "fft_overlap_save:CudaFftOverlapSave",
}
"""Those with kernels of their own."""


def algorithm(name: str) -> ConvAlgorithm:
    module, _, cls = ALGORITHMS[name].partition(":")
    found = getattr(importlib.import_module(f"convbench_algorithms.cuda.{module}"), cls)()
    assert isinstance(found, ConvAlgorithm)
    return found
