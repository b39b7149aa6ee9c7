"""The runs that an evaluation of skeletonclip asks, each with its data, and stored results beside them."""

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError
from entrypoints.run_data import with_data
from entrypoints.tasks.skeleton_scores import Answers, compute_answers, digest_of

if TYPE_CHECKING:
    import numpy as np

    from entrypoints.runs import LoadedRun

_SETTINGS = "datamodules.skeletonclip.settings"


@dataclass(frozen=True)
class Model:
    """A run, its module and its data."""

    name: str
    run: "LoadedRun"
    module: Any
    datamodule: Any
    unseen: list[int]
    """Labels of the classes that training left out."""
    digest: str
    temperature: float | None
    """Divisor of the cosines; None = none, and for classifiers."""

    @property
    def class_names(self) -> list[str]:
        """Of all classes."""
        return list(self.datamodule.texts("test").names)

    @property
    def split(self) -> str:
        """The split that is evaluated."""
        return self.datamodule.sides["test"].split or "all clips"

    def answers(self, folder: Path, clip_chunk: int, device: Any, told: Callable[[int], None]) -> Answers:
        """What the run says of every sample, see `compute_answers`.

        Clips of seen classes that the run was trained on are left out where classes are unseen.
        """
        import numpy as np
        import torch

        from lightning_modules.skeletonclip.clip_answers import clip_answers

        self.module.to(device).eval()

        def ask(batch: Any) -> tuple[Any, Any]:
            with torch.no_grad():
                found = clip_answers(self.module, self.datamodule.finish(batch, device)["imgs"], clip_chunk)
            return found.answers, found.features

        data = self.datamodule
        found = compute_answers(
            ask, data.test_dataloader(), data.sample_names("test"), self.class_names, folder / self.digest, told,
            self.temperature,
        )  # fmt: skip
        if not self.unseen:
            return found
        trained_on = set(data.sample_names("train"))
        known = [
            place
            for place, (name, label) in enumerate(zip(found.names, found.labels.tolist(), strict=True))
            if label in self.unseen or name not in trained_on
        ]
        return found.take(np.array(known, dtype=np.int64))


def load_model(path: str, config: Mapping[str, Any], device: Any) -> Model:
    """Build the module and the data of a run, as the keys of the protocol say.

    Raises:
        InputError: a run of another system, no such split, an empty one, other classes than the run's.
    """
    from components.media.mask_sequences import fingerprint
    from entrypoints.runs import build_datamodule, load_module, load_run

    run = load_run(path, "skeletonclip")
    weights: Any = "average" if config["ema"] else "raw"
    module = load_module(run, weights)
    stored = with_data(run, config["data"])
    data = _evaluated(stored["data"], config)
    held_out = list(data.pop("unseen_classes", None) or ())
    datamodule = build_datamodule({**stored, "data": data})
    datamodule.prepare_data()
    datamodule.setup("test")
    texts = datamodule.texts("test")
    unseen = [texts.label(name) for name in held_out]
    if not any(label in datamodule.labels("test") for label in unseen) and unseen:
        raise InputError(f"split={config['split']}: none of its clips is of the unseen classes {held_out}")
    module = _with_classes(run, module, texts, unseen)
    depends = {
        "checkpoint": fingerprint([run.checkpoint_path]), "weights": weights, "texts": texts.texts,
        "annotations": fingerprint([datamodule.ann_path]), "device": device.type,
        "data": {key: value for key, value in data.items() if key not in ("root", "num_workers", "batch_size")},
    }  # fmt: skip
    name = f"{run.experiment} {run.run_dir.name}"
    temperature = _temperature(module.net, config["use_temperature"])
    return Model(name, run, module, datamodule, sorted(unseen), digest_of(depends), temperature)


def _temperature(net: Any, wanted: bool | None) -> float | None:
    if not hasattr(net, "temperature"):
        return None
    used = net.temperature.use_at_test if wanted is None else wanted
    return float(net.bounded_temperature()) if used else None


def _evaluated(data: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The run's data with what the protocol sets; clips of unseen classes come with all others, told apart later."""
    changed = dict(data)
    if config["split"] is not None:
        changed["test_split"] = None if config["split"] == "all" else config["split"]
    for key, target, value in (("clips", "ClipCounts", config["clips"]), ("double_flip", "DoubleFlip", config["flip"])):
        if value is not None:
            node = changed.get(key) or {"_target_": f"{_SETTINGS}.{target}"}
            changed[key] = {**node, "test": value}
    return changed


def _with_classes(run: "LoadedRun", module: Any, texts: Any, unseen: list[int]) -> Any:
    """The module with the texts of the data; a classifier must have been trained with as many classes."""
    if hasattr(module, "with_texts"):
        return module.with_texts([list(own) for own in texts.texts])
    if unseen:
        raise InputError(
            f"run={run.run_dir}: a classifier knows no texts, so nothing of the classes that it has not seen.\n"
            "Evaluate a model with texts, e.g. experiment=skeletonclip_pacl"
        )
    if module.num_classes != len(texts):
        raise InputError(
            f"run={run.run_dir} tells {module.num_classes} classes apart, and {texts.source} has {len(texts)}"
        )
    return module


def read_results(path: str) -> "tuple[list[str], np.ndarray, list[str] | None]":
    """Names, scores `[N, L]` and class names of `results.npz`.

    Raises:
        InputError: not such a file.
    """
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as stored:
            names, scores = stored["sample_names"].tolist(), stored["outputs"].astype(np.float64)
            classes = stored["class_names"].tolist() if "class_names" in stored else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"fuse={path} cannot be read: {error}.\nExpected an npz with outputs [N, L] and sample_names [N]"
        ) from error
    if scores.ndim != 2 or len(names) != len(scores) or not np.isfinite(scores).all():
        raise InputError(f"fuse={path}: outputs {list(scores.shape)} for {len(names)} names; expected finite [N, L]")
    return [str(name) for name in names], scores, classes
