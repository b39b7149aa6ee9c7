"""Any vision backbone of transformers as an encoder: ViT, DINO, DINOv2, CLIP, Swin, ConvNeXt, ResNet, ...

Only folders of this machine are read, as `save_pretrained` writes them; nothing is looked up on a hub and no code of
such a folder is run.
"""

import inspect
import math
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from components.errors import InputError
from components.files.json_files import read_json_object
from components.media.normalization import Normalization, named_normalization
from lightning_modules.videowalk.networks.encoders import Encoder

_FOLDER = "model.encoder.folder"
# Where image processors of different ages keep their settings.
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")


class HuggingFaceEncoder(Encoder):
    """Patch tokens, or the map of a convolutional network, as `[B, C, h, w]`.

    Channels, stride and the number of tokens that are no patches (class, registers) are found by looking at two small
    pictures. Pictures whose size is no multiple of the stride are continued with their last row and column. Parameters
    that the features do not depend on (a pooler, layers behind `layer`) are left out of training.

    Args:
        folder: with `config.json`, weights and the settings of the image processor.
        layer: which of the network's hidden states, 0 = after the embedding; None = the output. A ResNet of
            transformers has stride 8 at layer 2, a ConvNeXt too.
        pretrained: false starts from random weights and reads `config.json` only.
        normalization: `processor` takes mean and std from the image processor's file; else a name.
        freeze: true keeps all weights as they are; then only the head is trained.

    Raises:
        InputError: no such folder, no vision backbone in it, or no statistics.
    """

    def __init__(
        self,
        folder: str,
        layer: int | None = None,
        pretrained: bool = True,
        normalization: Literal["processor", "imagenet", "crw_training"] = "processor",
        freeze: bool = False,
    ) -> None:
        super().__init__()
        path = Path(folder).expanduser()
        if not (path / "config.json").is_file():
            raise InputError(
                f"{_FOLDER}={folder} holds no config.json; expected a folder as save_pretrained writes it. "
                "Models are not downloaded: fetch it beforehand, e.g. with `hf download <name> --local-dir <folder>`"
            )
        self.normalization = (
            _processor_statistics(path) if normalization == "processor"
            else named_normalization(normalization, "model.encoder.normalization")
        )  # fmt: skip
        self.layer = layer
        self.network = _load(path, pretrained)
        self._inputs = set(inspect.signature(self.network.forward).parameters)
        self._measure(folder)
        if freeze:
            self.network.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        h, w = math.ceil(height / self.stride), math.ceil(width / self.stride)
        missing = (0, w * self.stride - width, 0, h * self.stride - height)
        output = self._run(F.pad(images, missing, mode="replicate") if any(missing) else images)
        if output.ndim == 4:
            return output
        # Tokens that are no patches stand first.
        return output[:, self.extra_tokens :].transpose(1, 2).unflatten(2, (h, w))

    def _run(self, images: Tensor) -> Tensor:
        """The chosen output: `[B, C, h, w]`, or tokens `[B, L, C]`."""
        options: dict[str, Any] = (
            {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in self._inputs else {}
        )
        if "noise" in self._inputs:  # masked autoencoders order patches by it; none is masked
            side = self.network.config.patch_size
            patches = (images.shape[-2] // side) * (images.shape[-1] // side)
            options["noise"] = torch.arange(patches, device=images.device).expand(len(images), -1)
        if self.layer is None:
            return self.network(images, **options).last_hidden_state
        return self.network(images, output_hidden_states=True, **options).hidden_states[self.layer]

    def _measure(self, folder: str) -> None:
        side = _side(self.network.config)
        self.network.eval()
        small = torch.zeros(1, 3, side, side)
        large = torch.zeros(1, 3, side, 2 * side)
        with torch.enable_grad():
            try:
                with torch.no_grad():
                    first = self._run(small)
                second = self._run(large)
            except IndexError as error:
                raise InputError(f"model.encoder.layer={self.layer}: the network has no such hidden state") from error
            except (RuntimeError, TypeError, ValueError, AttributeError) as error:
                raise InputError(
                    f"{_FOLDER}={folder}: a {type(self.network).__name__} makes no map of a picture "
                    f"({str(error).splitlines()[0][:120]}); expected a vision backbone"
                ) from error
            second.float().sum().backward()
        for parameter in self.network.parameters():
            # DistributedDataParallel ends with an error where a parameter takes no part.
            parameter.requires_grad_(parameter.grad is not None)
            parameter.grad = None
        if second.ndim == 4:
            self.extra_tokens = 0
            self.channels, self.stride = second.shape[1], side // second.shape[2]
        else:
            patches = second.shape[1] - first.shape[1]  # of side x side pixels
            self.extra_tokens = first.shape[1] - patches
            self.channels, self.stride = second.shape[2], side // math.isqrt(max(patches, 1))
        self.network.train()


def _load(folder: Path, pretrained: bool) -> Any:
    """The network of a folder; of a model with a part for text the part for pictures."""
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        if pretrained:
            network = AutoModel.from_pretrained(folder, **local)
        else:
            network = AutoModel.from_config(AutoConfig.from_pretrained(folder, **local))
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise InputError(
            f"{_FOLDER}={folder} cannot be loaded: {' '.join(str(error).split())[:200]}\n"
            "Expected config.json and model.safetensors of a model that transformers knows"
        ) from error
    network = getattr(network, "vision_model", network)
    if getattr(network.config, "mask_ratio", None):
        network.config.mask_ratio = 0.0
    return network


def _side(config: Any) -> int:
    """Pixels of a picture that patches and every layer divide, and that has no fewer cells than a window of Swin."""
    patch = getattr(config, "patch_size", 1)
    patch = int(patch[-1] if isinstance(patch, list | tuple) else patch)
    window = getattr(config, "window_size", 1)
    side = math.lcm(patch, 32) if 64 % patch == 0 else 2 * patch
    return side * window if isinstance(window, int) else side


def _processor_statistics(folder: Path) -> Normalization:
    for name in _PROCESSORS:
        settings = read_json_object(folder / name)
        if settings is None:
            continue
        settings = settings.get("image_processor", settings)
        if settings.get("do_normalize") is False:
            return Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        mean, std = settings.get("image_mean"), settings.get("image_std")
        if _three(mean) and _three(std) and min(std) > 0:
            return Normalization(tuple(mean), tuple(std))
    raise InputError(
        f"{_FOLDER}={folder}: {_PROCESSORS[0]} with image_mean and image_std of three colours is not there.\n"
        "Save the image processor there too, or say model.encoder.normalization=imagenet"
    )


def _three(values: Any) -> bool:
    return isinstance(values, list) and len(values) == 3 and all(isinstance(v, int | float) for v in values)
