"""ResNet-18 and ResNet-50 with the resolution that walks need: stride 8 to the end (section 3 of the paper's code).

Parameters have the names and the initialisation of torchvision's networks, so that their weight files fit.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

import torch
from torch import Tensor, nn

from components.errors import InputError
from components.media.normalization import named_normalization
from lightning_modules.videowalk.networks.convolution import BorderConv2d
from lightning_modules.videowalk.networks.encoders import Encoder

PaddingMode = Literal["reflect", "zeros"]
LAYERS = ("maxpool", "layer3", "layer4")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, padding_mode: PaddingMode) -> None:
        super().__init__()
        self.conv1 = BorderConv2d(inputs, width, 3, stride, padding_mode)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = BorderConv2d(width, width, 3, 1, padding_mode)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, h, w]` to `[B, width, h / stride, w / stride]`."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out.add_(x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """A 3x3 convolution, which carries the stride, between two 1x1 ones."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, padding_mode: PaddingMode) -> None:
        super().__init__()
        self.conv1 = BorderConv2d(inputs, width, 1, 1, padding_mode)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = BorderConv2d(width, width, 3, stride, padding_mode)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = BorderConv2d(width, width * 4, 1, 1, padding_mode)
        self.bn3 = nn.BatchNorm2d(width * 4)
        self.downsample = _shortcut(inputs, width * 4, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, h, w]` to `[B, 4 * width, h / stride, w / stride]`."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out.add_(x if self.downsample is None else self.downsample(x)))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if inputs == outputs and stride == 1:
        return None
    return nn.Sequential(BorderConv2d(inputs, outputs, 1, stride, "zeros"), nn.BatchNorm2d(outputs))


class ResNet(Encoder):
    """A ResNet whose third and fourth layer keep the resolution of the second.

    Args:
        depth: 18 (basic blocks) or 50 (bottlenecks).
        padding_mode: of every convolution with a border; the published network trained from scratch has `reflect`.
        remove_layers: any of maxpool (stride 4 instead of 8), layer3 and layer4; layer3 only with layer4.
        width: channels of the first layer; 64 in the published networks.
        normalization: statistics at evaluation: imagenet, crw_training or gray_lab.
        weights: a file of weights that are loaded at once; null = random.
        layout: how that file names its parameters; auto recognises it.

    Raises:
        InputError: a value is none of these, or the file does not fit.
    """

    def __init__(
        self,
        depth: Literal[18, 50] = 18,
        padding_mode: PaddingMode = "reflect",
        remove_layers: Sequence[str] = (),
        width: int = 64,
        normalization: Literal["imagenet", "crw_training", "gray_lab"] = "imagenet",
        weights: str | None = None,
        layout: Literal["auto", "videowalk", "torchvision", "moco", "timecycle", "uvc"] = "auto",
    ) -> None:
        super().__init__()
        if depth not in (18, 50):
            raise InputError(f"model.encoder.depth={depth}: expected 18 or 50")
        if padding_mode not in ("reflect", "zeros"):
            raise InputError(f"model.encoder.padding_mode={padding_mode}: expected reflect or zeros")
        if width < 1:
            raise InputError(f"model.encoder.width={width}: expected at least 1 channel (the published networks: 64)")
        if weights is not None and not Path(weights).expanduser().is_file():
            raise InputError(f"model.encoder.weights={weights} is no file; expected weights of such a network")
        if layout != "auto" and weights is None:
            raise InputError(
                f"model.encoder.layout={layout} needs the file: model.encoder.weights=<path>\n"
                "For random weights: model.encoder.layout=auto"
            )
        removed = set(remove_layers)
        _check_removal(removed)
        self.normalization = named_normalization(normalization, "model.encoder.normalization")
        self.conv1 = BorderConv2d(3, width, 7, 2, padding_mode)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool: nn.Module = nn.MaxPool2d(3, 2, 1)
        block = BasicBlock if depth == 18 else Bottleneck
        counts = (2, 2, 2, 2) if depth == 18 else (3, 4, 6, 3)
        inputs = width
        # Declared for the type checker; made below.
        self.layer1: nn.Module
        self.layer2: nn.Module
        self.layer3: nn.Module
        self.layer4: nn.Module
        for i, (count, stride) in enumerate(zip(counts, (1, 2, 1, 1), strict=True)):
            blocks = []
            for j in range(count):
                blocks.append(block(inputs, width * 2**i, stride if j == 0 else 1, padding_mode))
                inputs = width * 2**i * block.expansion
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))
        self._channels = {f"layer{i + 1}": width * 2**i * block.expansion for i in range(4)}
        self._initialise()
        self._remove(removed)
        if weights is not None:
            from lightning_modules.videowalk.networks.weight_files import load_weights

            load_weights(self, weights, layout)

    def forward(self, images: Tensor) -> Tensor:
        # Convolutions of a CPU and of tensor cores read this memory format without reordering.
        x = images.contiguous(memory_format=torch.channels_last)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def without(self, layers: Sequence[str]) -> Self:
        """This network without some layers; parameters, buffers and the mode of blocks are shared, not copied.

        Raises:
            InputError: a layer that cannot be removed.
        """
        removed = set(layers) | {name for name in LAYERS if isinstance(getattr(self, name), nn.Identity)}
        _check_removal(removed)
        other = copy.copy(self)
        other._modules = dict(self._modules)
        other._remove(removed)
        return other

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def _remove(self, layers: set[str]) -> None:
        for name in layers:
            setattr(self, name, nn.Identity())
        kept = [name for name in self._channels if name not in layers]
        self.channels = self._channels[kept[-1]]
        self.stride = 4 if "maxpool" in layers else 8


def _check_removal(layers: set[str]) -> None:
    unknown = sorted(layers - set(LAYERS))
    if unknown:
        raise InputError(
            f"remove_layers: '{unknown[0]}' cannot be removed from a ResNet; expected any of {', '.join(LAYERS)}"
        )
    if "layer3" in layers and "layer4" not in layers:
        raise InputError("remove_layers: layer4 reads the output of layer3; remove both: [layer3, layer4]")
