"""Published weight files of encoders: read without trust, brought to the names of our ResNet.

| layout | file | where the encoder is |
|---|---|---|
| videowalk | released `pretrained.pth`, `model_<epoch>.pth` | `model`, behind `encoder.model.` (head: `selfsim_fc.`) |
| torchvision | `resnet18-5c106cde.pth`, `resnet50-19c8e357.pth` | the file itself |
| moco | `moco_v2_800ep_pretrain.pth.tar` | `state_dict`, behind `module.encoder_q.` |
| timecycle | `tc_checkpoint.pth.tar` | `state_dict`, behind `module.encoderVideo.`, kernels over time of length 1 |
| uvc | `uvc_checkpoint.pth.tar` | `state_dict`, behind `module.gray_encoder.` |
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from components.errors import InputError
from components.files.tensor_files import Options, read_tensors
from lightning_modules.videowalk import upstream

Layout = Literal["auto", "videowalk", "torchvision", "moco", "timecycle", "uvc"]
# What stands before the encoder's names; the order matters for `auto`, the empty prefix fits everything.
_PREFIXES = {
    "videowalk": upstream.ENCODER,
    "moco": "encoder_q.",
    "timecycle": "encoderVideo.",
    "uvc": "gray_encoder.",
    "torchvision": "",
}
# Wrapped in nn.DataParallel or DistributedDataParallel.
_PARALLEL = "module."
_EXPECTED = "weights of the contrastive random walk, torchvision, MoCo v2, TimeCycle or UVC"
_ENCODER = re.compile(r"(conv1|bn1|layer[1-4]\.\d+\.(conv[1-3]|bn[1-3]|downsample\.[01]))\.(weight|bias|running_mean|"
                      r"running_var|num_batches_tracked)")  # fmt: skip
_LAYERS = ("layer3", "layer4")
_HEAD = re.compile(r"[0-9]{1,3}\.(weight|bias)")
# Shape of a kernel of the first layer, and more of them than any ResNet has.
_STEM, _WIDEST = (3, 7, 7), 1024


@dataclass(frozen=True)
class EncoderWeights:
    """Weights of a file under the names of torchvision.

    Attributes:
        layout: how the file named them.
        encoder: the encoder's parameters and buffers.
        head: those of the walk's head, `0.weight`, `0.bias`, `2.weight`, ...; empty where the file has none.
        ignored: names in the file that neither takes, as they stand there.
        epoch: epochs of training, None where unknown.
        options: options of the training, plain data; empty where unknown.
    """

    layout: str
    encoder: dict[str, Tensor]
    head: dict[str, Tensor] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    epoch: int | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def depth(self) -> Literal[18, 50]:
        """Layers of the network: a ResNet-50 has three convolutions in a block."""
        return 50 if "layer1.0.conv3.weight" in self.encoder else 18

    @property
    def width(self) -> int:
        """Channels of the first layer."""
        return len(self.encoder["conv1.weight"])

    @property
    def absent_layers(self) -> list[str]:
        """Which of layer3 and layer4 the file does not hold."""
        return [name for name in _LAYERS if not any(key.startswith(f"{name}.") for key in self.encoder)]


def read_weights(path: str | Path, layout: Layout = "auto") -> EncoderWeights:
    """Read a published file.

    Args:
        path: the file.
        layout: how it names its parameters; `auto` recognises that.

    Raises:
        InputError: missing, damaged, hostile, or none of these layouts.
    """
    path = Path(path).expanduser()
    if layout not in get_args(Layout):
        raise InputError(f"layout={layout}: expected one of {', '.join(get_args(Layout))}")
    content = read_tensors(path, _EXPECTED)
    state, epoch, options = _state_dict(path, content)
    names = {_bare(name): name for name in state}
    found = _recognise(names) if layout == "auto" else layout
    prefix = _PREFIXES.get(found or "", "")
    encoder, head, ignored = {}, {}, []
    for name, original in names.items():
        short = upstream.of_today(name.removeprefix(prefix))
        if name.startswith(prefix) and _ENCODER.fullmatch(short):
            encoder[short] = _without_time(state[original])
        elif found == "videowalk" and name.startswith(upstream.HEAD) and _HEAD.fullmatch(name, len(upstream.HEAD)):
            head[name.removeprefix(upstream.HEAD)] = state[original]
        else:
            ignored.append(original)
    if found is None or "conv1.weight" not in encoder:
        raise InputError(
            f"checkpoint={path}: no ResNet encoder found in it as layout={layout} "
            f"(its first entry is '{next(iter(state))}').\nExpected {_EXPECTED}; layout=... names one of them"
        )
    _check_values(path, encoder | {f"{upstream.HEAD}{name}": value for name, value in head.items()})
    return EncoderWeights(found, encoder, head, ignored, epoch, options)


def load_weights(encoder: nn.Module, path: str | Path, layout: Layout = "auto") -> EncoderWeights:
    """Load a published file into an encoder; what the file has beyond it (layer4, a classifier) is left out.

    Args:
        encoder: a ResNet of ours; with another statistic or padding than the file's it still loads.
        path: the file.
        layout: see `read_weights`.

    Returns:
        What was read; `ignored` has the encoder's surplus as well.

    Raises:
        InputError: as `read_weights`, or the encoder has a parameter that the file has not, or in another shape.
    """
    weights = read_weights(path, layout)
    wanted = encoder.state_dict()
    taken = fitting(weights, wanted, path)
    encoder.load_state_dict(taken, strict=True)
    surplus = [name for name in weights.encoder if name not in wanted]
    return EncoderWeights(**{**vars(weights), "ignored": [*weights.ignored, *surplus]})


def fitting(weights: EncoderWeights, wanted: dict[str, Tensor], path: str | Path) -> dict[str, Tensor]:
    """The weights that an encoder with the state `wanted` takes.

    Older files do not count the batches of BatchNorm; nothing here reads these counts, and they become 0.

    Raises:
        InputError: one is missing or of another shape.
    """
    taken, missing, different = {}, [], []
    for name, value in wanted.items():
        if name in weights.encoder:
            taken[name] = weights.encoder[name]
            if taken[name].shape != value.shape:
                different.append(f"{name} is {tuple(taken[name].shape)}, expected {tuple(value.shape)}")
        elif name.endswith("num_batches_tracked"):
            taken[name] = torch.zeros_like(value)
        else:
            missing.append(name)
    if not missing and not different:
        return taken
    absent = [layer for layer in weights.absent_layers if any(name.startswith(layer) for name in missing)]
    hint = f"model.encoder.remove_layers=[{','.join(absent)}] does without" if absent else (
        f"the file holds a ResNet-{weights.depth} of width {weights.width}: "
        f"model.encoder.depth={weights.depth} model.encoder.width={weights.width}"
    )  # fmt: skip
    parts = [f"{len(missing)} parameter(s) missing: {_some(missing)}"] if missing else []
    parts += [f"{len(different)} of another shape: {_some(different)}"] if different else []
    raise InputError(f"checkpoint={path} does not fit the encoder: {'; '.join(parts)}.\n{hint}")


def _state_dict(path: Path, content: Any) -> tuple[dict[str, Tensor], int | None, dict[str, Any]]:
    """The tensors of a file by name, its epoch and its options."""
    if not isinstance(content, dict):
        raise InputError(f"checkpoint={path} holds a {type(content).__name__}; expected {_EXPECTED}")
    if "troupe" in content:
        raise InputError(
            f"checkpoint={path} is one of our own runs; a training starts from it with ckpt={path}, "
            "and evaluate and predict take it as run=..."
        )
    epoch, options = content.get("epoch"), content.get("args")
    state = next((content[key] for key in ("model", "state_dict") if isinstance(content.get(key), dict)), content)
    tensors = {str(name): value for name, value in state.items() if _is_plain(value)}
    if not tensors:
        raise InputError(f"checkpoint={path} holds no weights; expected {_EXPECTED}")
    return tensors, epoch if isinstance(epoch, int) else None, options.values if isinstance(options, Options) else {}


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and value.device.type == "cpu"


def _check_values(path: Path, state: dict[str, Tensor]) -> None:
    """Refuse what no training makes, before a network of that size is built."""
    stem = state["conv1.weight"]
    if stem.ndim != 4 or stem.shape[1:] != _STEM or not 0 < len(stem) <= _WIDEST:
        raise InputError(
            f"checkpoint={path}: conv1.weight is {tuple(stem.shape)}; expected (width, {', '.join(map(str, _STEM))}) "
            f"with a width of at most {_WIDEST}, as of a ResNet.\nGive another file"
        )
    for name, value in state.items():
        if not value.isfinite().all():
            raise InputError(
                f"checkpoint={path}: '{name}' holds numbers that are not finite; its training has failed.\n"
                "Give a file of an earlier epoch"
            )


def _recognise(names: dict[str, str]) -> str | None:
    return next(
        (layout for layout, prefix in _PREFIXES.items() if f"{prefix}conv1.weight" in names
         or f"{prefix}conv1.1.weight" in names), None,
    )  # fmt: skip


def _bare(name: str) -> str:
    return name.removeprefix(_PARALLEL)


def _without_time(value: Tensor) -> Tensor:
    """TimeCycle's kernels `[out, in, 1, h, w]` look at one frame."""
    return value.squeeze(2) if value.ndim == 5 and value.shape[2] == 1 else value


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
