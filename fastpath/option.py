"""The options of a network, under the names of ncnn's own Option."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

OTHER_NUMBERS = (
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_packed",
    "use_bf16_storage",
    "use_vulkan_compute",
)
"""Options that would change results or where they come from, and that nothing here obeys: switching one on is told."""


@dataclass(slots=True)
class Option:
    """Every field of ncnn's Option, so that code written for the binding runs; other names raise AttributeError.

    These mean something here:

    - `lightmode` frees a blob as soon as its reader has run.
    - `num_threads` is how many processes `Net.map` uses where it is not told. One inference runs on one thread, beside
      the threads of BLAS, whose number comes from the environment.
    - `use_int8_inference` must stay on for networks with int8 convolutions or InnerProduct.
    - `use_compiled_kernels` is ours: whether int8 networks run by a plan of compiled kernels where there are any.

    These mean nothing here, because every number is binary32 and the CPU computes: `use_fp16_*`, `use_bf16_*`,
    `use_vulkan_compute`. They are off; loading weights with one of them on gives a warning.

    All others choose between implementations of the same results in ncnn, or where its memory comes from. They are
    accepted and change nothing.
    """

    lightmode: bool = True
    num_threads: int = 1
    use_int8_inference: bool = True
    use_compiled_kernels: bool = True

    use_fp16_packed: bool = False
    use_fp16_storage: bool = False
    use_fp16_arithmetic: bool = False
    use_bf16_packed: bool = False
    use_bf16_storage: bool = False
    use_vulkan_compute: bool = False

    use_packing_layout: bool = True
    use_sgemm_convolution: bool = True
    use_winograd_convolution: bool = True
    use_winograd23_convolution: bool = True
    use_winograd43_convolution: bool = True
    use_winograd63_convolution: bool = True
    use_int8_packed: bool = True
    use_int8_storage: bool = True
    use_int8_arithmetic: bool = True
    use_subgroup_ops: bool = True
    use_tensor_storage: bool = False
    openmp_blocktime: int = 20
    flush_denormals: int = 0
    kvcache_max_seqlen_hint: int = 0
    blob_allocator: object = None
    workspace_allocator: object = None
    kvcache_allocator: object = None
    blob_vkallocator: object = None
    workspace_vkallocator: object = None
    staging_vkallocator: object = None
    kvcache_vkallocator: object = None

    def warn_of_unheeded(self) -> None:
        """Warn of each option that is on and that would change results in ncnn, but not here."""
        for name in OTHER_NUMBERS:
            if getattr(self, name):
                warnings.warn(f"opt.{name} is on, but every number is binary32 here, on the CPU", stacklevel=4)
