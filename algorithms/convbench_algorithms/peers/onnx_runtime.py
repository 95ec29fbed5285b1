"""onnxruntime: a model of one Conv node, whose input and output are bound to the caller's memory.

Its threads spin while a call runs, and sleep after it: `session.force_spinning_stop` costs nothing that can be
measured, while without it they take a core for 30 ms after each call, from whoever is timed next. Without spinning
small layers take up to twice the time (depthwise 32 at 112²: 0.11 against 0.06 ms, two threads of Zen 5).
"""

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

OPSET, IR_VERSION = 17, 8  # old enough for every onnxruntime of the last years
ONLY_ERRORS = 3


@final
class OnnxRuntime(ConvAlgorithm):
    """onnxruntime's Conv on its CPU provider."""

    name = "onnxruntime"
    tags = frozenset({"cpu", "peer", "layer", "allocates"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        return missing("onnxruntime", "onnxruntime") or missing("onnx", "onnx") or unless_float_layer(spec)

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return summation_error(spec)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:
        """See `ConvAlgorithm`."""
        return _OnnxPlan(spec, resources.threads)


@final
class _OnnxPlan(ConvPlan):
    workspace_bytes = 0  # the library allocates its own

    def __init__(self, spec: ConvSpec, threads: int) -> None:
        import onnxruntime

        self.spec = spec
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = ONLY_ERRORS
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self.options = options

    def prepare(self, w: Array) -> PreparedConv:
        import onnxruntime

        model = one_conv(self.spec, np.array(w[..., ::-1, ::-1] if self.spec.flip else w, order="C"))
        session = onnxruntime.InferenceSession(model, self.options, providers=["CPUExecutionProvider"])
        return _OnnxConv(self.spec, session)


def one_conv(spec: ConvSpec, w: Array) -> bytes:
    """The model y = Conv(x, w) of fixed shapes, in ONNX's format."""
    from onnx import TensorProto, helper, numpy_helper

    (top, bottom), (left, right) = spec.padding
    conv = helper.make_node(
        "Conv",
        ["x", "w"],
        ["y"],
        kernel_shape=[spec.r, spec.s],
        strides=spec.stride,
        pads=[top, left, bottom, right],
        dilations=spec.dilation,
        group=spec.groups,
    )
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", spec.x_shape), ("y", spec.y_shape))
    )
    graph = helper.make_graph([conv], "conv", [x], [y], [numpy_helper.from_array(w, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    serialised: bytes = model.SerializeToString()
    return serialised


@final
class _OnnxConv(BoundConv):
    def __init__(self, spec: ConvSpec, session: Any) -> None:
        super().__init__()
        self.spec = spec
        self.session = session
        self.binding = session.io_binding()

    def bind(self, x: Array, y: Array) -> None:
        self.binding.bind_input("x", "cpu", 0, np.float32, self.spec.x_shape, x.ctypes.data)
        self.binding.bind_output("y", "cpu", 0, np.float32, self.spec.y_shape, y.ctypes.data)

    def run(self) -> None:
        self.session.run_with_iobinding(self.binding)
