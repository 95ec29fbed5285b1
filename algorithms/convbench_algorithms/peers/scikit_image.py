"""scikit-image: its Gaussian blur, which is scipy.ndimage's; it has no filter of its own for general weights."""

from __future__ import annotations

from typing import final

from convbench.algorithm import Array, ConvAlgorithm, ConvPlan, ErrorModel, PreparedConv, Resources, Unsupported
from convbench.spec import ConvSpec
from convbench_algorithms.peers.gaussian_filter import is_gaussian, sigma_of, truncation
from convbench_algorithms.peers.library import missing, unless_plane_by_plane
from convbench_algorithms.peers.scipy_ndimage import MODES
from convbench_algorithms.rank import factored_error


@final
class ScikitImage(ConvAlgorithm):
    """`skimage.filters.gaussian`, one call for each channel; it has but one thread."""

    name = "scikit_image"
    tags = frozenset({"cpu", "peer", "separable", "allocates"})

    def supports(self, spec: ConvSpec) -> Unsupported | None:
        """See `ConvAlgorithm`."""
        if unsupported := missing("skimage", "scikit-image") or unless_plane_by_plane(spec):
            return unsupported
        if sigma_of(spec) is None or any(before != after for before, after in spec.padding):
            return Unsupported("has no general filter, only centred Gaussians of an odd extent")
        return None

    def error_model(self, spec: ConvSpec) -> ErrorModel:
        """See `ConvAlgorithm`."""
        return factored_error(spec, 1)

    def plan(self, spec: ConvSpec, resources: Resources) -> ConvPlan:  # noqa: ARG002 - it has but one thread
        """See `ConvAlgorithm`."""
        return _ScikitPlan(spec)


@final
class _ScikitPlan(ConvPlan):
    workspace_bytes = 0  # the library allocates its own

    def __init__(self, spec: ConvSpec) -> None:
        sigma = sigma_of(spec)
        assert sigma is not None
        self.spec = spec
        self.sigma = sigma

    def prepare(self, w: Array) -> PreparedConv | Unsupported:
        if not is_gaussian(w, self.sigma):
            return Unsupported(f"w is not the Gaussian that filter={self.spec.filter} says")
        return _ScikitConv(self.spec, self.sigma)


@final
class _ScikitConv(PreparedConv):
    def __init__(self, spec: ConvSpec, sigma: float) -> None:
        from skimage.filters import gaussian

        self.gaussian = gaussian
        self.sigma = sigma
        self.options = {"mode": MODES[spec.boundary], "truncate": truncation(spec, sigma), "preserve_range": True}

    def execute(self, x: Array, y: Array) -> None:
        for image, output in zip(x, y, strict=True):
            for plane, result in zip(image, output, strict=True):
                self.gaussian(plane, self.sigma, out=result, **self.options)
