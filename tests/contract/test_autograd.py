"""What a gradient is, PyTorch's autograd says, too: of every algorithm that has one, for a layer and a strided one."""

from __future__ import annotations

import numpy as np
import pytest

from contract.cases import ALGORITHMS
from contract.harness import changed, convolve, known
from convbench.operands import Operands
from convbench.spec import ConvSpec

torch = pytest.importorskip("torch", reason="torch is not installed")

LAYERS = ("n2c4h9w11k6r3s3+padding=1", "n2c4h13w11k6r3s3+stride=2x3+padding=1+groups=2", "n2c3h12w12k4r5s5+padding=2")


@pytest.mark.parametrize("direction", ["backward_data", "backward_weights"])
@pytest.mark.parametrize("text", LAYERS)
def test_gradients_are_those_of_autograd(text: str, direction: str) -> None:
    forward = changed(ConvSpec.parse(text), dtype="float32")
    spec = changed(forward, direction=direction)
    made = known(spec)[0]
    rng = np.random.default_rng(3)
    if direction == "backward_data":
        x, w, dy = rng.standard_normal(spec.x_shape), made.prepared, made.input
    else:
        x, w, dy = made.input, rng.standard_normal(spec.w_shape), made.prepared
    tensors = [torch.from_numpy(np.array(one, np.float32)).requires_grad_() for one in (x, w)]
    padding = (spec.padding[0][0], spec.padding[1][0])
    y = torch.nn.functional.conv2d(*tensors, None, spec.stride, padding, spec.dilation, spec.groups)
    y.backward(torch.from_numpy(np.array(dy, np.float32)))
    expected = tensors[direction == "backward_weights"].grad.numpy()
    ran = 0
    for algorithm in ALGORITHMS.values():
        if algorithm.device == "cpu" and algorithm.supports(spec) is None:
            found = convolve(algorithm, spec, Operands(made.prepared.copy(), made.input.copy()))
            bound = algorithm.error_model(spec).bound
            np.testing.assert_allclose(found, expected, rtol=0, atol=bound * np.abs(expected).max() * 10)
            ran += 1
    assert ran >= 3
