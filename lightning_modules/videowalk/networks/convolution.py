"""A convolution that keeps the size of its input at stride 1, with zeros or the mirrored picture beyond the border."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from components.errors import InputError
from lightning_modules.videowalk.networks import winograd


class BorderConv2d(nn.Conv2d):
    """A convolution without bias, odd kernel, padded by half of it.

    The same values as `nn.Conv2d(padding_mode="reflect")`; the border is mirrored in the memory format of the input,
    which torch's own does not keep on a CPU.

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        kernel: odd size of the kernel in pixels.
        stride: of the output.
        border: `reflect` mirrors the picture at its outermost pixels, `zeros` pads with zeros.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, border: Literal["reflect", "zeros"]
    ) -> None:
        self.border = border if kernel > 1 else "zeros"
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        if self.kernel_size == (3, 3) and self.stride == (1, 1) and input.dtype == self.weight.dtype:
            channels = min(self.weight.shape[:2])
            if winograd.suits(input.shape[0], channels, input.shape[2], input.shape[3], input):
                return winograd.convolve(input, self.weight, self.border)
        if self.border == "zeros":
            return F.conv2d(input, self.weight, None, self.stride, self.padding)
        return F.conv2d(reflected(input, int(self.padding[0])), self.weight, None, self.stride)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, border={self.border}"


def reflected(images: Tensor, size: int) -> Tensor:
    """Pictures `[B, C, H, W]` with `size` mirrored pixels at each side, in the memory format that they have.

    Raises:
        InputError: pictures too small to mirror that many pixels.
    """
    if min(images.shape[-2:]) <= size:
        raise InputError(
            f"a map of {images.shape[-2]} x {images.shape[-1]} cells is too small to mirror {size} at its border; "
            "expected larger pictures (data.img_size, data.patch_size) or model.encoder.padding_mode=zeros"
        )
    return F.pad(images, (size, size, size, size), mode="reflect")
