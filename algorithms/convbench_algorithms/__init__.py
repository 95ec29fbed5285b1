"""The built-in contenders, as `module:Class`. To add one: its file here, and its line below."""

from convbench_algorithms import compilation_cache

BUILTIN: tuple[str, ...] = (
    "convbench_algorithms.naive:Naive",
    "convbench_algorithms.direct:Direct",
    "convbench_algorithms.im2col:Im2col",
    "convbench_algorithms.separable:Separable",
    "convbench_algorithms.low_rank:LowRank",
    "convbench_algorithms.winograd:Winograd",
    "convbench_algorithms.winograd:WinogradF2",
    "convbench_algorithms.winograd:WinogradF4",
    "convbench_algorithms.winograd:WinogradF6",
    "convbench_algorithms.fft:Fft",
    "convbench_algorithms.fft_overlap_save:FftOverlapSave",
    "convbench_algorithms.fft_overlap_add:FftOverlapAdd",
    "convbench_algorithms.im2col_tiled:Im2colTiled",
    "convbench_algorithms.gemm1x1:Gemm1x1",
    "convbench_algorithms.shift_gemm:ShiftGemm",
    "convbench_algorithms.peers.scipy_signal:ScipyDirect",
    "convbench_algorithms.peers.scipy_signal:ScipyFft",
    "convbench_algorithms.peers.scipy_signal:ScipyOverlapAdd",
    "convbench_algorithms.peers.scipy_ndimage:ScipyNdimage",
    "convbench_algorithms.peers.scikit_image:ScikitImage",
    "convbench_algorithms.peers.opencv:OpenCv",
    "convbench_algorithms.peers.dip_lib:DipLib",
    "convbench_algorithms.peers.dip_lib:DipLibRecursive",
    "convbench_algorithms.peers.torch_conv2d:TorchConv2d",
    "convbench_algorithms.peers.torch_fft:TorchFft",
    "convbench_algorithms.peers.onnx_runtime:OnnxRuntime",
    "convbench_algorithms.peers.open_vino:OpenVino",
    "convbench_algorithms.peers.ncnn_net:Ncnn",
)

compilation_cache.install()
