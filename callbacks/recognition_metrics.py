"""How real generated motions look to a trained recogniser, while their model trains."""

import copy
import logging
from collections.abc import Callable
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from callbacks.validation_figures import ValidationFigures
from components.body.pose_format import PoseFormat
from components.errors import InputError
from datamodules.actor.collate import collate_motions
from lightning_modules.actor.generation import decode
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.protocol import (
    LabelledFeatures,
    evaluate_features,
    join_features,
    recognize_motions,
    stream_seed,
)

log = logging.getLogger(__name__)

FIGURES = ("fid", "kid", "recognition_accuracy", "diversity")
# Motions in the check before the training: enough to see that everything fits.
_TRIAL = 24


class RecognitionMetrics(ValidationFigures):
    """Logs `val/fid`, `val/kid`, `val/recognition_accuracy` and `val/diversity`; any of them may be the monitor.

    For a fixed choice of real motions one motion each is generated, with its label and length, by the weights that are
    validated: with `callbacks=ema` the average. The first process does so and tells the others. All chance has streams
    of its own, the same in every epoch, so that epochs compare and the training stays as it was.

    Real motions are the evaluation clips. FID takes as many motions as features at the least, better several times as
    many; KID is unbiased for few.

    Args:
        recognizer: run folder or checkpoint of a recogniser of the same classes.
        load: called with `recognizer`, the names of the classes and a name for messages; gives its run and module.
        every_n_epochs: epochs between two looks, in epochs that validate; 0 = at every validation.
        samples: motions at most; a data set with fewer evaluation clips uses each several times, in other frames.
        batch_size: motions at a time.
        seed: of the choice and of the latents.

    Raises:
        InputError: a value is out of range; before the training, that the recogniser does not fit the data, that the
            trained model makes no motions, or that these figures are the monitor and are missing in some validations.
    """

    key = "recognition"
    figures = FIGURES

    def __init__(
        self,
        recognizer: str,
        load: Callable[[str, list[str], str], tuple[Any, Any]],
        every_n_epochs: int = 0,
        samples: int = 600,
        batch_size: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__(every_n_epochs)
        if samples < 2 or batch_size < 1 or seed < 0:
            raise InputError(
                f"callbacks.recognition: samples={samples} must be at least 2, batch_size={batch_size} at least 1, "
                f"seed={seed} at least 0"
            )
        self.path = recognizer
        self.load = load
        self.samples = samples
        self.batch_size = batch_size
        self.seed = seed
        self._recognizer: Any = None
        self._real: LabelledFeatures | None = None

    def prepare(self, trainer: Trainer, pl_module: LightningModule) -> None:
        datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(getattr(pl_module, "net", None), ActorCVAE):
            raise InputError(
                f"callbacks=recognition judges generated motions, and {type(pl_module).__name__} makes none.\n"
                "Use it with a generator, e.g. experiment=actor, or leave it out"
            )
        with torch.random.fork_rng(devices=[]):  # building a network draws its first weights
            run, recognizer = self.load(self.path, list(datamodule.action_names), "this training")
        seen = datamodule.held_out_clips_in(run.config.get("data") or {})
        if seen != 0 and trainer.is_global_zero:
            log.warning(
                "callbacks.recognition.recognizer=%s trained on %s clips that this training holds out; give both the "
                "same data.val_fraction, split_seed and split_file",
                self.path, "possibly some" if seen is None else seen,
            )  # fmt: skip
        self._recognizer = recognizer.eval().requires_grad_(False)
        self._real = None

    def measured(self, trainer: Trainer, pl_module: LightningModule, trial: bool) -> dict[str, float]:
        return self.measure(pl_module, trainer.datamodule, trial)  # type: ignore[attr-defined]

    @torch.no_grad()
    def measure(self, pl_module: LightningModule, datamodule: Any, trial: bool = False) -> dict[str, float]:
        """The figures of the module's present weights.

        Args:
            pl_module: has the network as `net`.
            datamodule: has the evaluation clips as `val_set`, and knows `pose_format` and `num_classes`.
            trial: with a few motions only.
        """
        net, device, pose_format = cast(ActorCVAE, pl_module.net), pl_module.device, datamodule.pose_format
        recognizer = self._recognizer.to(device)
        count = min(self.samples, _TRIAL) if trial else self.samples
        # Pairs of actions that are classes of their own are left out: the recogniser need not know them.
        clips = getattr(datamodule.val_set, "originals", datamodule.val_set)
        rows = self._choice(len(clips), count)
        if self._real is None or len(self._real.labels) != count:
            self._real = self._recognize_real(recognizer, clips, rows, pose_format, device)
        generator = torch.Generator().manual_seed(stream_seed(self.seed, "latents"))
        z = torch.randn(count, net.sizes.latent_dim, generator=generator)
        found = []
        for part in torch.arange(count).split(self.batch_size):
            labels, lengths = self._real.labels[part], self._lengths[part]
            made = decode(net, z[part], lengths, labels, labels)
            answer = recognize_motions(recognizer, made.motion, made.mask, pose_format)
            found.append(LabelledFeatures(answer.features, answer.logits, labels, part))
        sets = {"gen": join_features(found), "gt": self._real}
        values = evaluate_features(sets, datamodule.num_classes, stream_seed(self.seed, "metrics"), warn=False)
        return {name: values[f"{name.removeprefix('recognition_')}_gen"] for name in FIGURES}

    def _choice(self, total: int, count: int) -> list[tuple[int, int]]:
        """Clips and the seeds of their frames: every clip once before any comes again."""
        generator = torch.Generator().manual_seed(stream_seed(self.seed, "motions"))
        rounds = -(-count // total)
        clips = torch.cat([torch.randperm(total, generator=generator) for _ in range(rounds)])[:count]
        frames = torch.randint(0, 2**62, (count,), generator=generator)
        return list(zip(clips.tolist(), frames.tolist(), strict=True))

    def _recognize_real(
        self,
        recognizer: Any,
        clips: Any,
        rows: list[tuple[int, int]],
        pose_format: PoseFormat,
        device: torch.device,
    ) -> LabelledFeatures:
        clips = copy.copy(clips)
        clips.centred = False
        found, lengths = [], []
        for first in range(0, len(rows), self.batch_size):
            batch = collate_motions([clips[row] for row in rows[first : first + self.batch_size]])
            motion, mask = batch["motion"].to(device), batch["mask"].to(device)
            answer = recognize_motions(recognizer, motion, mask, pose_format)
            # Places rather than clips, some of which come several times: each generated motion has the label of one.
            places = torch.arange(first, first + len(motion))
            found.append(LabelledFeatures(answer.features, answer.logits, batch["action"], places))
            lengths.append(batch["lengths"])
        self._lengths: Tensor = torch.cat(lengths)
        return join_features(found)
