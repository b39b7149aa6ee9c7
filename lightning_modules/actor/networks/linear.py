"""Linear layers that are quick on AMD processors too.

torch multiplies float32 matrices with Intel's MKL, which leaves the 512-bit units of AMD processors idle; its
convolutions run on oneDNN, which uses them. A linear layer is a 1x1 convolution: the same float32 sums, twice as fast.
"""

import functools
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Below so many rows the call costs more than the sums.
_MIN_ROWS = 128


@functools.cache
def _onednn_is_faster() -> bool:
    """Whether this is an AMD processor with AVX-512 and torch was built with both libraries."""
    cpuinfo = Path("/proc/cpuinfo")
    return (
        cpuinfo.is_file()
        and "AuthenticAMD" in cpuinfo.read_text()[:4096]
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and torch.backends.mkl.is_available()
        and torch.backends.mkldnn.is_available()
    )


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`F.linear`: x `[..., in]`, weight `[out, in]`, bias `[out]` to `[..., out]`."""
    if torch.compiler.is_compiling() or not (x.device.type == "cpu" and x.dtype == torch.float32 and x.dim() == 3):
        return F.linear(x, weight, bias)
    if x.shape[0] * x.shape[1] < _MIN_ROWS or torch.is_autocast_enabled("cpu") or not _onednn_is_faster():
        return F.linear(x, weight, bias)
    return convolve_rows(x, weight, bias)


def convolve_rows(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`F.linear` of `[B, T, in]` as a 1x1 convolution over an image whose pixels are the rows."""
    batch, frames, width = x.shape
    # One long image is best, but with a single thread torch hands only batches to oneDNN.
    images = 1 if torch.get_num_threads() > 1 else batch
    pixels = x.reshape(images, -1, 1, width).permute(0, 3, 1, 2)  # images width rows 1
    result = F.conv2d(pixels, weight[:, :, None, None], bias)
    return result.permute(0, 2, 3, 1).reshape(batch, frames, len(weight))


class Linear(nn.Linear):
    """`nn.Linear` through `linear`; same parameters, same initialisation."""

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)
