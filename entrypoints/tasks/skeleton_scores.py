"""What a run of skeletonclip says of every clip of a split: computed part by part, kept, and found again.

A part is a few batches, whose file appears whole or not at all under a name that says what it depends on: weights,
data, clips. A killed evaluation goes on with the parts that are missing, and gives the same bytes.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError
from components.files.atomic import atomic_path

if TYPE_CHECKING:
    import numpy as np
    from torch.utils.data import DataLoader

# Changes when the same settings give other answers than before.
_VERSION = 1
# Samples of a part at least: short enough to lose little, long enough for a folder of few files.
_SAMPLES = 64
_ARRAYS = ("index", "labels", "answers", "features")


@dataclass(frozen=True)
class Answers:
    """What a run says of N samples of K clips (the mirrored ones included) with L classes."""

    names: list[str]
    """Of the samples, in the order of the split."""
    labels: "np.ndarray"
    """`[N]` int64."""
    answers: "np.ndarray"
    """`[N, K, L]` float32, of every clip: cosines with the texts, or logits of a classifier."""
    features: "np.ndarray"
    """`[N, E]` float32, mean over the clips."""
    class_names: list[str]
    temperature: float | None = None
    """Divisor of the answers; None = none, as published."""

    def probabilities(self) -> "np.ndarray":
        """`[N, L]` float64: softmax over the classes of every clip, mean over the clips."""
        import torch

        from lightning_modules.skeletonclip.recognizer import class_scores

        divisor = None if self.temperature is None else torch.tensor(self.temperature, dtype=torch.float64)
        return class_scores(torch.from_numpy(self.answers).double(), divisor).numpy()

    def similarities(self) -> "np.ndarray":
        """`[N, L]` float64, mean answer over the clips."""
        import numpy as np

        return self.answers.astype(np.float64).mean(axis=1)

    def among(self, classes: Sequence[int]) -> "Answers":
        """The samples of some classes told apart among these alone; labels are places in `classes`."""
        import numpy as np

        table = np.full(len(self.class_names), -1)
        table[list(classes)] = np.arange(len(classes))
        kept = np.flatnonzero(table[self.labels] >= 0)
        return replace(
            self.take(kept),
            labels=table[self.labels[kept]],
            answers=self.answers[kept][:, :, list(classes)],
            class_names=[self.class_names[label] for label in classes],
        )

    def take(self, places: "np.ndarray") -> "Answers":
        """Some of the samples."""
        return replace(
            self,
            names=[self.names[place] for place in places],
            labels=self.labels[places],
            answers=self.answers[places],
            features=self.features[places],
        )


def digest_of(depends: Mapping[str, Any]) -> str:
    """A short name for everything that answers depend on."""
    text = json.dumps({"version": _VERSION, **depends}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def compute_answers(
    ask: Callable[[Any], tuple[Any, Any]],
    loader: "DataLoader",
    names: Sequence[str],
    class_names: list[str],
    folder: Path,
    told: Callable[[int], None],
    temperature: float | None = None,
) -> Answers:
    """Ask for every sample of a loader once, except for those whose part is there.

    Args:
        ask: gives answers `[B, K, L]` and features `[B, E]` of a batch.
        loader: of the whole split, in order; batches hold `label` and `index`.
        names: of the samples, by index.
        class_names: L.
        folder: of the parts of this run and data.
        told: called with the number of samples that are done.
        temperature: goes into the result.

    Raises:
        InputError: an empty split, another number of classes, or answers that are not finite.
    """
    import numpy as np

    if not len(names):
        raise InputError("split: it has no samples; choose another one")
    plan = _plan(loader)
    missing: list[tuple[Path, list[list[Any]]]] = []
    found: dict[int, dict[str, np.ndarray]] = {}
    for number, batches in enumerate(plan):
        part = _load(folder / f"{number:05d}.npz", len(class_names))
        if part is None:
            missing.append((folder / f"{number:05d}.npz", batches))
        else:
            found[number] = part
            told(len(part["labels"]))
    for (file, _), part in zip(missing, _asked(ask, loader, [each for _, each in missing], told), strict=True):
        if part["answers"].shape[2] != len(class_names):
            raise InputError(
                f"the run answers with {part['answers'].shape[2]} classes, and its data have {len(class_names)}"
            )
        if not np.isfinite(part["answers"]).all():
            raise InputError("the run's answers are not finite: its weights are damaged, or its training diverged")
        with atomic_path(file) as temporary:
            np.savez(temporary, **part)  # type: ignore[arg-type]
        found[int(file.stem)] = part
    whole = {key: np.concatenate([found[number][key] for number in range(len(plan))]) for key in _ARRAYS}
    return Answers(
        [str(names[index]) for index in whole["index"].tolist()],
        whole["labels"], whole["answers"], whole["features"], class_names, temperature,
    )  # fmt: skip


def _plan(loader: "DataLoader") -> list[list[list[Any]]]:
    """The loader's batches by part. A part's batches stay the same whatever is done already: so do their roundings."""
    batches: list[list[Any]] = [list(batch) for batch in loader.batch_sampler or ()]
    each = max(1, _SAMPLES // max(1, len(batches[0]))) if batches else 1
    return [batches[first : first + each] for first in range(0, len(batches), each)]


def _asked(
    ask: Callable[[Any], tuple[Any, Any]],
    loader: "DataLoader",
    parts: list[list[list[Any]]],
    told: Callable[[int], None],
) -> "Iterator[dict[str, np.ndarray]]":
    """The parts one by one; workers read ahead over their borders."""
    import numpy as np
    from torch.utils.data import DataLoader

    rest = DataLoader(
        loader.dataset,
        batch_sampler=[batch for part in parts for batch in part],
        collate_fn=loader.collate_fn,
        num_workers=loader.num_workers if parts else 0,
        pin_memory=loader.pin_memory,
    )
    batches = iter(rest)
    for part in parts:
        rows: dict[str, list[np.ndarray]] = {key: [] for key in _ARRAYS}
        for _ in part:
            batch = next(batches)
            answers, features = ask(batch)
            values = (batch["index"], batch["label"], answers.float(), features.float())
            for key, value in zip(_ARRAYS, values, strict=True):
                rows[key].append(value.cpu().numpy())
            told(len(batch["label"]))
        yield {key: np.concatenate(value) for key, value in rows.items()}


def _load(file: Path, classes: int) -> "dict[str, np.ndarray] | None":
    """A kept part; None where there is none, or it is damaged."""
    import numpy as np

    try:
        with np.load(file, allow_pickle=False) as stored:
            part = {key: stored[key] for key in _ARRAYS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    sizes = {len(value) for value in part.values()}
    return part if len(sizes) == 1 and part["answers"].ndim == 3 and part["answers"].shape[2] == classes else None
