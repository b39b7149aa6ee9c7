"""How well labels are carried by the features of a walk, while it trains."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import LightningModule, Trainer

from callbacks.validation_figures import ValidationFigures
from components.errors import InputError
from components.media.mask_sequences import MaskSequence
from components.metrics.davis import global_scores
from components.synthetic.videos import write_davis
from datamodules.videowalk.davis import read_davis
from lightning_modules.videowalk.mask_scoring import score_masks
from lightning_modules.videowalk.propagation.settings import PropagationSettings

# Logged name and the column of the scores.
_COLUMNS = {"jf": "J&F-Mean", "j": "J-Mean", "f": "F-Mean"}
# The first and the last frame are not scored.
_FEWEST_FRAMES = 3
# Films of ours to watch by; the seed differs from that of the films that `evaluate` scores.
_PAINTED: dict[str, Any] = {"sequences": 3, "frames": 16, "height": 160, "width": 288, "seed": 1}


class PropagationScore(ValidationFigures):
    """Logs `val/jf`, `val/j` and `val/f`: region and boundary scores of masks carried through a few films.

    Nothing is learned and nothing drawn: the figures follow from the weights that are validated (with `callbacks=ema`
    or `last_average` the average), and the training stays as it was. Choose another split or other films than those
    that the final scores are stated on.

    Args:
        root: folder in the layout of DAVIS 2017; None = three painted films.
        synthetic: where the painted films are made on first use.
        split: name of the list in `ImageSets/2017`.
        resolution: folder below `JPEGImages` and `Annotations`.
        sequences: names; None = the first `max_sequences` of the list.
        max_sequences: films at most; 0 = all.
        max_frames: of each film, from its start; 0 = all.
        size: shorter side of the frames that the network sees, pixels; None = as they are.
        context: earlier frames that vote.
        topk: votes per cell.
        radius: how far a label may move, cells of the feature map.
        temperature: of the softmax over the votes.
        remove_layers: layers that the features are taken before.
        every_n_epochs: epochs between two looks, in epochs that validate; 0 = at every validation.

    Raises:
        InputError: a value is out of range; before the training, that the films cannot be read, that the module has no
            features to carry labels by, or that a figure is the monitor and missing in some validations.
    """

    key = "propagation_score"
    figures = tuple(_COLUMNS)

    def __init__(
        self,
        root: str | None = None,
        synthetic: str = "data/synthetic/davis_watched",
        split: str = "val",
        resolution: str = "480p",
        sequences: Sequence[str] | None = None,
        max_sequences: int = 3,
        max_frames: int = 20,
        size: int | None = 160,
        context: int = 5,
        topk: int = 10,
        radius: float | None = 12.0,
        temperature: float = 0.05,
        remove_layers: Sequence[str] = ("layer4",),
        every_n_epochs: int = 1,
    ) -> None:
        super().__init__(every_n_epochs)
        if max_sequences < 0 or (max_frames != 0 and max_frames < _FEWEST_FRAMES):
            raise InputError(
                f"callbacks.{self.key}: max_sequences={max_sequences} must be at least 0, "
                f"max_frames={max_frames} 0 (all) or at least {_FEWEST_FRAMES}"
            )
        self.root = root
        self.synthetic = synthetic
        self.split = split
        self.resolution = resolution
        self.sequences = None if sequences is None else list(sequences)
        self.max_sequences = max_sequences
        self.max_frames = max_frames
        try:
            self.settings = PropagationSettings(context, topk, radius, temperature, size=size)
        except InputError as error:
            raise InputError("\n".join(f"callbacks.{self.key}.{line}" for line in str(error).splitlines())) from error
        self.remove_layers = tuple(remove_layers)
        self._films: list[MaskSequence] = []

    def prepare(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not hasattr(pl_module, "features"):
            raise InputError(
                f"callbacks=propagation_score carries labels by features of pictures, and {type(pl_module).__name__} "
                "has none.\nUse it with a walk, e.g. experiment=videowalk, or leave it out"
            )
        if self.root is None:
            write_davis(self.synthetic, **_PAINTED)  # one process writes, the others wait for it
        films = read_davis(self.root or self.synthetic, self.split, 2017, self.resolution, self.sequences)
        films = films[: self.max_sequences or None]
        self._films = [_beginning(film, self.max_frames or len(film)) for film in films]
        for film in self._films:
            if len(film) < _FEWEST_FRAMES:
                raise InputError(
                    f"callbacks.{self.key}.root={Path(self.root or self.synthetic)}: {film.name} has {len(film)} "
                    f"frames, and scores need at least {_FEWEST_FRAMES}"
                )

    def measured(self, trainer: Trainer, pl_module: LightningModule, trial: bool) -> dict[str, float]:
        films = [_beginning(self._films[0], _FEWEST_FRAMES)] if trial else self._films
        module: Any = pl_module
        extractor = module.features(use_head=False, remove_layers=self.remove_layers)
        score = score_masks(extractor, films, self.settings, pl_module.device)
        # Not `score.compute()`: under DDP a metric waits for all processes, and only the first one is here.
        rows = np.array([scores.row() for film in films for scores in score.scores[film.name]])
        found = global_scores(rows)
        return {name: float(found[column]) for name, column in _COLUMNS.items()}


def _beginning(film: MaskSequence, frames: int) -> MaskSequence:
    return MaskSequence(replace(film.frames, frames=film.frames.frames[:frames]), film.masks[:frames])
