"""ncnn: a net of one convolution, fed and read in the packed layout that its layers hand on to each other.

The library allocates what it returns. It takes Winograd for 3×3 by default; where the channels are few the matrix
product is faster (VGG conv1_1: 1.0 against 1.8 ms, two threads of Zen 5), so that both are tried.
"""

from __future__ import annotations

import tempfile
from functools import partial
from typing import Any, Final, final

import numpy as np

from convbench.algorithm import (
    Array,
    ConvAlgorithm,
    ConvPlan,
    ErrorModel,
    ForeignConv,
    PreparedConv,
    Resources,
    Unsupported,
    summation_error,
)
from convbench.spec import ConvSpec
from convbench_algorithms.peers.library import missing, unless_float_layer
from convbench_algorithms.peers.trial import fastest
from convbench_algorithms.winograd import WinogradF6

HALF_PRECISION: Final = (
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_packed",
    "use_bf16_storage",
)
MAGIC: Final = 7767517
PACKED: Final = 1  # as the layer gives it, instead of unpacked
IDENTITY: Final = "ReLU layer 1 1 x y 0=1.0"
"""With a slope of 1 below zero, too, it gives x back, in the packing that the library has for the machine."""


@final
class Ncnn(ConvAlgorithm):
    """ncnn's convolution on the CPU, image by image."""

    name = "ncnn"
    tags = frozenset({"cpu", "peer", "layer", "allocates"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        return missing("ncnn", "ncnn") or unless_float_layer(spec)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        if _may_be_winograd(spec):
            return WinogradF6().forward_error_model(spec)
        return summation_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _NcnnPlan(spec, resources.threads)


def _may_be_winograd(spec: ConvSpec) -> bool:
    return (spec.r, spec.s, spec.stride, spec.dilation) == (3, 3, (1, 1), (1, 1)) and spec.groups < max(spec.c, 2)


@final
class _NcnnPlan(ConvPlan):
    workspace_bytes = 0  # the library allocates its own

    def __init__(self, spec: ConvSpec, threads: int) -> None:
        self.spec = spec
        self.threads = threads
        self.winograd = True
        if _may_be_winograd(spec):
            w, x = np.ones(spec.w_shape, np.float32), np.ones(spec.x_shape, np.float32)
            convs = {name: _NcnnConv(self, w, winograd=name == "winograd") for name in ("winograd", "gemm")}
            ways = {name: partial(conv.compute, conv.accept(x)) for name, conv in convs.items()}
            self.winograd = fastest(ways) == "winograd"

    def prepare(self, w: Array) -> PreparedConv:
        return _NcnnConv(self, w[..., ::-1, ::-1] if self.spec.flip else w, winograd=self.winograd)


@final
class _NcnnConv(ForeignConv):
    def __init__(self, plan: _NcnnPlan, w: Array, *, winograd: bool) -> None:
        weights = np.float32(0).tobytes() + np.ascontiguousarray(w, np.float32).tobytes()  # 0: the tag of plain float32
        self.net = _net(_convolution(plan.spec), weights, plan.threads, winograd=winograd)
        self.packer = _net(IDENTITY, b"", plan.threads)

    def accept(self, x: Array) -> Any:
        import ncnn

        return [_run(self.packer, ncnn.Mat(image).clone()) for image in x]

    def compute(self, x: Any) -> Any:
        return [_run(self.net, image) for image in x]

    def deliver(self, result: Any, y: Array) -> None:
        import ncnn

        for packed, image in zip(result, y, strict=True):
            plain = ncnn.Mat()
            ncnn.convert_packing(packed, plain, 1)
            image[...] = np.array(plain).reshape(image.shape)


def _convolution(spec: ConvSpec) -> str:
    """The layer in ncnn's text format, with its keys of layer Convolution."""
    (top, bottom), (left, right) = spec.padding
    values: dict[int, int] = {0: spec.k, 1: spec.s, 2: spec.dilation[1], 3: spec.stride[1], 4: left, 5: 0}
    values |= {6: spec.parameters, 11: spec.r, 12: spec.dilation[0], 13: spec.stride[0], 14: top, 15: right, 16: bottom}
    kind = "Convolution"
    if spec.groups > 1:
        kind = "ConvolutionDepthWise"
        values[7] = spec.groups
    return f"{kind} layer 1 1 x y " + " ".join(f"{key}={value}" for key, value in values.items())


def _net(layer: str, weights: bytes, threads: int, *, winograd: bool = True) -> Any:
    """A net from x, blob 0, through one layer to y, blob 1."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_winograd_convolution = winograd
    for option in HALF_PRECISION:
        setattr(net.opt, option, False)
    # From a file: weights that are loaded from memory are not copied, and would go with this call.
    with tempfile.NamedTemporaryFile(suffix=".bin") as file:
        file.write(weights)
        file.flush()
        if net.load_param_mem(f"{MAGIC}\n2 2\nInput x 0 1 x\n{layer}\n") or net.load_model(file.name):
            raise RuntimeError(f"ncnn did not load its layer: {layer}")
    return net


def _run(net: Any, image: Any) -> Any:
    """What the net's layer makes of an image, packed as the layer gives it."""
    extractor = net.create_extractor()
    extractor.input(0, image)
    failed, result = extractor.extract(1, PACKED)
    if failed:
        raise RuntimeError(f"ncnn failed with code {failed}")
    return result
