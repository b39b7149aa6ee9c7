"""SlowOnly ResNet-50 over heatmap volumes: the backbone of PoseConv3D (Duan et al. 2022; pyskl `ResNet3dSlowOnly`).

Parameters have pyskl's names (`layer1.0.conv2.bn.weight`) and the shapes of 3D convolutions, so that its files fit. No
kernel spans time and space at once, though: a volume is computed as `[B * T, C, H, W]` in the channels-last memory
format, where a (1, k, k) kernel is a 2D convolution over frames and a (3, 1, 1) kernel one over the picture
`[B, C, T, H * W]` of the same memory. The values are those of `nn.Conv3d` within rounding, in less than half its time.
Small volumes, where that gains nothing, go through `nn.Conv3d` itself.
"""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.errors import InputError
from lightning_modules.skeletonclip.networks.frame_norm import FrameBatchNorm

# Where its settings stand.
_WHERE = "It stands in model.video_encoder.resnet, in the classifier in model.backbone"
# Cells B * T * H * W of a batch below which the plain 3D convolutions are taken.
_FEW_CELLS = 2**14


class ConvModule(nn.Module):
    """Convolution without bias, batch norm and, if wanted, ReLU (mmcv's name and layout).

    Args:
        inputs: channels of the input.
        outputs: channels of the output.
        kernel: (1, k, k) or (k, 1, 1) in frames and pixels, odd; padded by half of it.
        stride: (t, h, w).
        relu: whether a ReLU follows.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int, int], stride: tuple[int, int, int] = (1, 1, 1),
        relu: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = FrameBatchNorm(outputs)
        self.relu = relu
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, frames: Tensor, clips: int) -> Tensor:
        """Frames `[clips * T, C, H, W]` to `[clips * T', outputs, H', W']`; volumes `[clips, C, T, H, W]` alike."""
        weight, bias = self.conv.weight, None
        if not self.bn.training:
            # With fixed statistics batch norm is a factor and an offset per channel: one pass over the output less.
            factor, bias = self.bn.factor_and_offset()
            weight = weight * factor.view(-1, 1, 1, 1, 1)
        out = self._convolve(frames, weight, bias, clips)
        if self.bn.training:
            out = self.bn(out)
        return F.relu_(out) if self.relu else out

    def _convolve(self, frames: Tensor, weight: Tensor, bias: Tensor | None, clips: int) -> Tensor:
        stride, padding = self.conv.stride, cast(tuple[int, int, int], self.conv.padding)
        if frames.ndim == 5:
            return F.conv3d(frames, weight, bias, stride, padding)
        if weight.shape[2] == 1:
            if stride[0] > 1:
                frames = frames.unflatten(0, (clips, -1))[:, :: stride[0]].flatten(0, 1)
            return F.conv2d(frames, weight[:, :, 0], bias, stride[1:], padding[1:])
        _, channels, height, width = frames.shape
        # Frames in channels-last are [clips, T, H * W, C] in memory: a picture of T rows, without a copy.
        rows = frames.permute(0, 2, 3, 1).reshape(clips, -1, height * width, channels).permute(0, 3, 1, 2)
        out = F.conv2d(rows, weight[..., 0], bias, (stride[0], 1), (padding[0], 0))
        return out.permute(0, 2, 3, 1).reshape(-1, height, width, len(weight)).permute(0, 3, 1, 2)


class Bottleneck(nn.Module):
    """A (1, 3, 3) convolution, which carries the stride, between two that mix channels."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: tuple[int, int, int], inflate: bool) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = ConvModule(inputs, width, (3, 1, 1) if inflate else (1, 1, 1))
        self.conv2 = ConvModule(width, width, (1, 3, 3), stride)
        self.conv3 = ConvModule(width, outputs, (1, 1, 1), relu=False)
        self.downsample: ConvModule | None = None
        if inputs != outputs or stride != (1, 1, 1):
            self.downsample = ConvModule(inputs, outputs, (1, 1, 1), stride, relu=False)

    def forward(self, frames: Tensor, clips: int) -> Tensor:
        """Frames `[clips * T, C, H, W]` to `[clips * T', 4 * width, H', W']`; volumes alike."""
        out = self.conv3(self.conv2(self.conv1(frames, clips), clips), clips)
        shortcut = frames if self.downsample is None else self.downsample(frames, clips)
        return F.relu_(out + shortcut)


class ResNet3dSlowOnly(nn.Module):
    """The backbone. Its defaults are those of the SkeletonCLIP++ configs; the classifier has stage_blocks [3, 4, 6].

    Convolutions start as Kaiming normal (fan out), batch norms as 1 and 0. pyskl's backbone by itself starts the last
    batch norm of each block at 0; inside SkeletonCLIP's encoders it does not, so the default here is False.

    Args:
        in_channels: heatmaps per frame: joints, or limbs.
        base_channels: width of the first stage; every later one has twice the width of the one before.
        stage_blocks: bottlenecks of each stage.
        inflate: per stage 1 where the first convolution of a block spans three frames.
        spatial_strides: of each stage's first block.
        temporal_strides: of each stage's first block.
        conv1_stride: (time, space) of the first convolution.
        pool1_stride: (time, space) of the pooling behind it.
        zero_init_residual: the last batch norm of each block starts at 0, a block as its shortcut.
        frozen_stages: first convolution and this many stages get no updates and keep their statistics; -1 = none,
            0 = the first convolution alone.
        norm_eval: batch norms keep their statistics during training.
        sync_norm: batch norms of several processes take the statistics of all their samples.
        checkpoint: weights that the training starts from: a file of pyskl or of the published code, or a run's
            checkpoint of ours; None = random.

    Attributes:
        channels: of the output.
        in_channels: of the input.

    Raises:
        InputError: a list of the wrong length or a number out of range; a file that does not fit.
    """

    def __init__(
        self,
        in_channels: int = 17,
        base_channels: int = 32,
        stage_blocks: Sequence[int] = (4, 6, 3),
        inflate: Sequence[int] = (0, 1, 1),
        spatial_strides: Sequence[int] = (2, 2, 2),
        temporal_strides: Sequence[int] = (1, 1, 2),
        conv1_stride: Sequence[int] = (1, 1),
        pool1_stride: Sequence[int] = (1, 1),
        zero_init_residual: bool = False,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        sync_norm: bool = False,
        checkpoint: str | None = None,
    ) -> None:
        super().__init__()
        stages = len(stage_blocks)
        _at_least_one("in_channels", [in_channels], 1)
        _at_least_one("base_channels", [base_channels], 1)
        if not 1 <= stages <= 4:
            raise InputError(f"stage_blocks={list(stage_blocks)}: expected one to four numbers of blocks.\n{_WHERE}")
        _at_least_one("stage_blocks", stage_blocks, stages)
        _at_least_one("spatial_strides", spatial_strides, stages)
        _at_least_one("temporal_strides", temporal_strides, stages)
        _at_least_one("conv1_stride", conv1_stride, 2)
        _at_least_one("pool1_stride", pool1_stride, 2)
        if len(inflate) != stages or any(int(value) not in (0, 1) for value in inflate):
            raise InputError(f"inflate={list(inflate)}: expected {stages} times 0 or 1, one for each stage.\n{_WHERE}")
        if not -1 <= frozen_stages <= stages:
            raise InputError(f"frozen_stages={frozen_stages}: expected -1 (none) to {stages}.\n{_WHERE}")
        self.in_channels = in_channels
        self.conv1 = ConvModule(
            in_channels, base_channels, (1, 7, 7), (conv1_stride[0], conv1_stride[1], conv1_stride[1])
        )
        self.pool1_stride = tuple(pool1_stride)
        self.stages = [f"layer{i + 1}" for i in range(stages)]
        inputs = base_channels
        for i, name in enumerate(self.stages):
            width = base_channels * 2**i
            stride = (temporal_strides[i], spatial_strides[i], spatial_strides[i])
            blocks = nn.ModuleList()
            for j in range(stage_blocks[i]):
                blocks.append(Bottleneck(inputs, width, stride if j == 0 else (1, 1, 1), bool(inflate[i])))
                inputs = width * Bottleneck.expansion
            self.add_module(name, blocks)
        self.channels = inputs
        self.norm_eval = norm_eval
        for module in self.modules():
            if isinstance(module, FrameBatchNorm):
                module.synchronised = sync_norm
        self._frozen: list[nn.Module] = []
        if frozen_stages >= 0:
            self._frozen = [self.conv1, *(getattr(self, name) for name in self.stages[:frozen_stages])]
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, Bottleneck):
                    nn.init.zeros_(module.conv3.bn.weight)
        if checkpoint is not None:
            from lightning_modules.skeletonclip.networks.video_weights import load_backbone

            load_backbone(self, checkpoint, "checkpoint")
        for module in self._frozen:
            module.requires_grad_(False)
        self.train()

    def forward(self, volumes: Tensor) -> Tensor:
        """Heatmap volumes `[B, V, T, H, W]` to features `[B, channels, T', h, w]`.

        Raises:
            InputError: V is not the network's number of channels.
        """
        if volumes.ndim != 5 or volumes.shape[1] != self.in_channels:
            raise InputError(
                f"heatmap volumes of shape {list(volumes.shape)}; expected [B, V, T, H, W] with V = {self.in_channels} "
                f"joints or limbs.\nMake in_channels of the backbone, data.skeleton and data.heatmap.kind agree"
            )
        clips, _, time, height, width = volumes.shape
        few = clips * time * height * width < _FEW_CELLS
        x = volumes
        if not few:
            x = volumes.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        x = self._pool(self.conv1(x, clips), clips)
        for name in self.stages:
            for block in getattr(self, name):
                x = block(x, clips)
        return x if few else x.unflatten(0, (clips, -1)).transpose(1, 2)

    def train(self, mode: bool = True) -> "ResNet3dSlowOnly":
        """Training or evaluation; frozen stages and, with `norm_eval`, all batch norms stay in evaluation."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm3d):
                    module.eval()
        return self

    def _pool(self, frames: Tensor, clips: int) -> Tensor:
        time, space = self.pool1_stride
        if frames.ndim == 5:
            return F.max_pool3d(frames, (1, 3, 3), (time, space, space), (0, 1, 1))
        if time > 1:
            frames = frames.unflatten(0, (clips, -1))[:, ::time].flatten(0, 1)
        return F.max_pool2d(frames, 3, space, 1)


def _at_least_one(name: str, values: Sequence[int], count: int) -> None:
    if len(values) != count or any(int(value) != value or value < 1 for value in values):
        shown = list(values) if count > 1 else values[0]
        what = f"{count} whole numbers" if count > 1 else "a whole number"
        raise InputError(f"{name}={shown}: expected {what} of at least 1.\n{_WHERE}")
