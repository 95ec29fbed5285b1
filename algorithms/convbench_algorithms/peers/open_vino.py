"""OpenVINO: a model of one (group) convolution for the CPU, on tensors that share the caller's memory."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from convbench.algorithm import (
    Array,
    ConvAlgorithm,
    ConvPlan,
    ErrorModel,
    PreparedConv,
    Resources,
    Unsupported,
    summation_error,
)
from convbench.spec import ConvSpec
from convbench_algorithms.peers.library import BoundConv, missing, unless_float_layer


@final
class OpenVino(ConvAlgorithm):
    """OpenVINO's convolution on the CPU, compiled for latency."""

    name = "openvino"
    tags = frozenset({"cpu", "peer", "layer", "allocates"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        return missing("openvino", "openvino") or unless_float_layer(spec)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return summation_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _OpenVinoPlan(spec, resources.threads)


@final
class _OpenVinoPlan(ConvPlan):
    workspace_bytes = 0  # the library allocates its own

    def __init__(self, spec: ConvSpec, threads: int) -> None:
        import openvino

        self.spec = spec
        self.core = openvino.Core()
        self.settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,  # the process has its cores already
        }

    def prepare(self, w: Array) -> PreparedConv:
        from openvino import Model, opset13

        spec, G = self.spec, self.spec.groups
        w = np.array(w[..., ::-1, ::-1] if spec.flip else w, order="C")
        x = opset13.parameter(spec.x_shape, np.float32)
        before, after = zip(*spec.padding, strict=True)
        options = (list(spec.stride), list(before), list(after), list(spec.dilation))
        if G == 1:
            y = opset13.convolution(x, opset13.constant(w), *options)
        else:
            y = opset13.group_convolution(x, opset13.constant(w.reshape(G, spec.k // G, *w.shape[1:])), *options)
        return _OpenVinoConv(self.core.compile_model(Model([y], [x]), "CPU", self.settings))


@final
class _OpenVinoConv(BoundConv):
    def __init__(self, compiled: Any) -> None:
        super().__init__()
        self.request = compiled.create_infer_request()

    def bind(self, x: Array, y: Array) -> None:
        from openvino import Tensor

        self.request.set_input_tensor(Tensor(x, shared_memory=True))
        self.request.set_output_tensor(Tensor(y, shared_memory=True))

    def run(self) -> None:
        self.request.infer(share_outputs=True)  # or it copies y into an array of its own, 10 % of a small layer
