"""ACTOR's evaluation protocol: what a recogniser sees in generated and in real motions, over seeds.

For every seed and split two independent passes over the real motions are made (`gt`, `gt2`: order, choice and frames
are drawn anew), and one motion is generated for every real one of the first pass, with its label and length (`gen`).
Distances are taken to `gt`, so those of `gt2` are the noise floor, of other frames of the same clips. All chance comes
from the seed.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from components.body.pose_format import PoseFormat
from components.metrics.classification import accuracy, confusion_matrix
from components.metrics.frechet import frechet_distance
from components.metrics.kernel_distance import stratified_kernel_distance
from datamodules.actor.batch import MotionBatch, MotionItem
from lightning_modules.actor.generation import decode
from lightning_modules.actor.metrics import (
    Summary,
    draw_class_pairs,
    draw_pairs,
    mean_pair_distance,
    summarize,
)
from lightning_modules.actor.networks.recognition import Recognition
from lightning_modules.actor.pose_conversion import convert_motion

METRICS = ("accuracy", "fid", "kid", "diversity", "multimodality")
SETS = ("gen", "gt", "gt2")
# Raise it whenever equal inputs give other figures: stored seeds of other versions are then made anew.
PROTOCOL_VERSION = 3
# Decimals of stored figures: what lies below is rounding of float32 features.
_DECIMALS = 9


class LabelledFeatures(NamedTuple):
    """What a recogniser says about N motions, with their true (or requested) labels; on the CPU."""

    features: Tensor  # [N, D]
    logits: Tensor  # [N, C]
    labels: Tensor  # [N] int64
    # [N] int64, numbers of the real clips that motions are, or for generated ones take their label and length from. KID
    # leaves such pairs out between two sets: generated motions have the classes of the real set by design, which pulls
    # the estimate below 0 as a clip's pair with itself does.
    clips: Tensor | None = None


class Recognizer(Protocol):
    """A trained recogniser in evaluation mode."""

    @property
    def pose_format(self) -> PoseFormat:
        """The format of the motions that it reads."""
        ...

    def recognize(self, motion: Tensor, mask: Tensor) -> Recognition:
        """Features and logits of motions `[B, J, F, T]` with a mask `[B, T]`."""
        ...


class RealMotions(Protocol):
    """Labelled motions; a seed chooses the frames of a sample."""

    @property
    def labels(self) -> np.ndarray:
        """Class of every sample, `[N]` int64."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, draw: tuple[int, int]) -> MotionItem: ...


@dataclass(frozen=True)
class RealSplit:
    """Real motions to compare with; `name` ends the names of the figures (`fid_gen_test`), "" where there is one."""

    motions: RealMotions
    name: str = ""

    def figure(self, metric: str, which: str) -> str:
        """Name of a metric of one set on this split: `fid_gen`, `fid_gen_test`."""
        return "_".join(part for part in (metric, which, self.name) if part)


@dataclass(frozen=True)
class ProtocolOptions:
    """Sizes of the protocol.

    Args:
        num_seq_max: real motions of a pass at most; each seed draws its own.
        batch_size: motions at a time; bounds memory and changes figures by rounding only.
    """

    num_seq_max: int = 3000
    batch_size: int = 64


@dataclass(frozen=True)
class SeedResult:
    """Figures of one seed by name (`fid_gen`), and confusion matrices `[true][predicted]` by set and split (`gen`)."""

    seed: int
    metrics: dict[str, float]
    confusion: dict[str, list[list[int]]]


@dataclass(frozen=True)
class ProtocolResult:
    """Figures of all seeds."""

    seeds: Sequence[SeedResult]

    def summary(self, name: str) -> Summary:
        """Mean and intervals of a figure over the seeds."""
        return summarize([each.metrics[name] for each in self.seeds])

    def confusion(self, name: str) -> Tensor:
        """Counts `[true, predicted]` of all seeds of a set and split (`gen`, `gen_test`)."""
        return torch.tensor([each.confusion[name] for each in self.seeds]).sum(dim=0)


class SeedStore(Protocol):
    """Keeps the results of finished seeds."""

    def load(self, seed: int) -> SeedResult | None:
        """A result that is still valid, or None."""
        ...

    def save(self, result: SeedResult) -> None:
        """Keep a result."""
        ...


def evaluate_features(
    sets: Mapping[str, LabelledFeatures],
    num_classes: int,
    seed: int = 0,
    reference: str = "gt",
    class_names: Sequence[str] | None = None,
    warn: bool = True,
) -> dict[str, float]:
    """All metrics of sets of features.

    Args:
        sets: by name, e.g. `{"gen": generated, "gt": real}`; none is empty.
        num_classes: classes of the labels; the recogniser may know more (pairs of actions).
        seed: of the pairs that diversity and multimodality look at; the same for all sets.
        reference: the set that `fid` and `kid` measure the distance to.
        class_names: for the warning about classes without samples.
        warn: whether to warn of them.

    Returns:
        `{metric}_{set}` for every metric of `METRICS` and every set; multimodality is NaN where no class has two
        samples.
    """
    real = sets[reference]
    figures: dict[str, float] = {}
    for name, (features, logits, labels, clips) in sets.items():
        related = None if clips is None or real.clips is None else clips[:, None] == real.clips
        generator = torch.Generator().manual_seed(stream_seed(seed, "pairs"))
        pairs = draw_pairs(len(features), generator=generator)
        class_pairs = draw_class_pairs(
            labels, num_classes, generator=generator, class_names=class_names, warn=warn and name == reference
        )
        values: dict[str, Tensor | float] = {
            "accuracy": accuracy(_confusion(logits, labels)),
            "fid": frechet_distance(features, real.features),
            "kid": stratified_kernel_distance(features, real.features, labels, real.labels, related),
            "diversity": mean_pair_distance(features, pairs),
            "multimodality": mean_pair_distance(features, class_pairs),
        }
        figures |= {f"{metric}_{name}": float(values[metric]) for metric in METRICS}
    return figures


@torch.no_grad()
def recognize_motions(recognizer: Recognizer, motion: Tensor, mask: Tensor, source: PoseFormat) -> Recognition:
    """Features and logits of motions in any pose format, float32 on the CPU, whatever the precision around.

    Args:
        recognizer: in evaluation mode, on the device of the motions.
        motion: `[B, J, F, T]`.
        mask: bool `[B, T]`.
        source: pose format of the motions.

    Raises:
        InputError: the recogniser reads what the motions do not have (a translation).
    """
    with torch.autocast(motion.device.type, enabled=False):
        converted = convert_motion(motion.float(), mask, source, recognizer.pose_format)
        features, logits = recognizer.recognize(converted, mask)
    return Recognition(features.float().cpu(), logits.float().cpu())


def run_protocol(
    net: Any,
    recognizer: Recognizer,
    splits: Sequence[RealSplit],
    source: PoseFormat,
    collate: Callable[[Sequence[MotionItem]], MotionBatch],
    num_classes: int,
    seeds: Sequence[int],
    options: ProtocolOptions,
    device: torch.device,
    store: SeedStore | None = None,
    class_names: Sequence[str] | None = None,
    advance: Callable[[int], None] = lambda motions: None,
) -> ProtocolResult:
    """Evaluate a generator over seeds.

    Args:
        net: generator with `decode` and `sizes` as `ActorCVAE`, in evaluation mode on the device.
        recognizer: in evaluation mode on the device.
        splits: real motions in the generator's pose format.
        source: that format.
        collate: makes batches of the items of the splits.
        num_classes: classes of the motions.
        seeds: one result each.
        options: sizes.
        device: of the models.
        store: finished seeds are kept there, and not made again.
        class_names: for warnings.
        advance: told how many motions are done after each batch, `motions_per_seed` for every seed.

    Raises:
        InputError: pose formats that do not fit.
    """
    results = []
    for place, seed in enumerate(seeds):
        result = store.load(seed) if store is not None else None
        if result is None:
            job = _SeedJob(net, recognizer, source, collate, num_classes, options, device, seed, advance)
            result = job.run(splits, class_names, warn=place == 0)
            if store is not None:
                store.save(result)
        else:
            advance(motions_per_seed(splits, options))
        results.append(result)
    return ProtocolResult(results)


def motions_per_seed(splits: Sequence[RealSplit], options: ProtocolOptions) -> int:
    """Motions that the recogniser looks at for one seed."""
    return len(SETS) * sum(min(len(split.motions), options.num_seq_max) for split in splits)


@dataclass(frozen=True)
class _SeedJob:
    net: Any
    recognizer: Recognizer
    source: PoseFormat
    collate: Callable[[Sequence[MotionItem]], MotionBatch]
    num_classes: int
    options: ProtocolOptions
    device: torch.device
    seed: int
    advance: Callable[[int], None]

    def run(self, splits: Sequence[RealSplit], class_names: Sequence[str] | None, warn: bool) -> SeedResult:
        metrics: dict[str, float] = {}
        confusion: dict[str, list[list[int]]] = {}
        for split in splits:
            sets = self._features(split)
            seed = stream_seed(self.seed, split.name, "metrics")
            figures = evaluate_features(sets, self.num_classes, seed, class_names=class_names, warn=warn)
            for which, (_, logits, labels, _) in sets.items():
                confusion[split.figure("", which)] = _confusion(logits, labels).tolist()
                for metric in METRICS:
                    metrics[split.figure(metric, which)] = round(figures[f"{metric}_{which}"], _DECIMALS)
        return SeedResult(self.seed, metrics, confusion)

    def _features(self, split: RealSplit) -> dict[str, LabelledFeatures]:
        count = min(len(split.motions), self.options.num_seq_max)
        chance = torch.Generator().manual_seed(stream_seed(self.seed, split.name, "latents"))
        latents = torch.randn(count, self.net.sizes.latent_dim, generator=chance)
        found: dict[str, list[LabelledFeatures]] = {which: [] for which in SETS}
        start = 0
        for clips, batch in self._batches(split, "gt"):
            labels, rows = batch["action"], slice(start, start + len(batch["action"]))
            start = rows.stop
            made = decode(self.net, latents[rows], batch["lengths"], labels, labels)
            found["gen"].append(self._recognize(made.motion, made.mask, labels, clips))
            found["gt"].append(self._recognize(batch["motion"], batch["mask"], labels, clips))
        for clips, batch in self._batches(split, "gt2"):
            found["gt2"].append(self._recognize(batch["motion"], batch["mask"], batch["action"], clips))
        return {which: join_features(parts) for which, parts in found.items()}

    def _batches(self, split: RealSplit, which: str) -> Iterator[tuple[Tensor, MotionBatch]]:
        """One pass over the motions of a split, in an order and with frames of its own: numbers of clips, batches."""
        chance = torch.Generator().manual_seed(stream_seed(self.seed, split.name, which))
        order = torch.randperm(len(split.motions), generator=chance)[: self.options.num_seq_max].tolist()
        frames = torch.randint(0, 2**62, (len(order),), generator=chance).tolist()
        draws = list(zip(order, frames))
        for start in range(0, len(draws), self.options.batch_size):
            part = draws[start : start + self.options.batch_size]
            yield torch.tensor([clip for clip, _ in part]), self.collate([split.motions[draw] for draw in part])

    def _recognize(self, motion: Tensor, mask: Tensor, labels: Tensor, clips: Tensor) -> LabelledFeatures:
        answer = recognize_motions(self.recognizer, motion.to(self.device), mask.to(self.device), self.source)
        self.advance(len(labels))
        return LabelledFeatures(answer.features, answer.logits, labels, clips)


def join_features(parts: Sequence[LabelledFeatures]) -> LabelledFeatures:
    """What is said about several batches as one."""
    features, logits, labels = (torch.cat([part[place] for part in parts]) for place in range(3))  # type: ignore[misc]
    numbers = [part.clips for part in parts if part.clips is not None]
    return LabelledFeatures(features, logits, labels, torch.cat(numbers) if numbers else None)


def _confusion(logits: Tensor, labels: Tensor) -> Tensor:
    return confusion_matrix(labels, logits.argmax(dim=1), logits.shape[1])


def stream_seed(seed: int, *names: str) -> int:
    """Seed of a stream of its own for each purpose; neighbouring seeds and purposes have nothing in common."""
    digest = hashlib.sha256("/".join([str(seed), *names]).encode()).digest()
    return int.from_bytes(digest[:7], "big")
