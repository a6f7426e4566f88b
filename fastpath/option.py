"""The options of a network, under the names of ncnn's own Option."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Option:
    """What ncnn's Option has. Most fields choose between implementations there and change nothing here.

    `lightmode` frees a blob as soon as its reader has run. `use_int8_inference` must stay on for networks with int8
    convolutions or InnerProduct. `num_threads` is accepted; the number of BLAS threads comes from the environment.
    `use_compiled_kernels` is ours: whether int8 networks run by a plan of compiled kernels where there are any.
    """

    lightmode: bool = True
    num_threads: int = 1
    use_int8_inference: bool = True
    use_packing_layout: bool = False
    use_winograd_convolution: bool = False
    use_sgemm_convolution: bool = True
    use_fp16_packed: bool = False
    use_fp16_storage: bool = False
    use_fp16_arithmetic: bool = False
    use_bf16_storage: bool = False
    use_vulkan_compute: bool = False
    flush_denormals: int = 0
    use_compiled_kernels: bool = True
