"""The evaluation protocol on 1,200 real and 1,200 generated motions of 60 frames, without the generation.

Measured on one thread: what the recogniser (the published GRU on the 24 joints of the body) takes for the features of
both sets, all metrics of one seed, and the metrics of 20 seeds from their features. The baselines do the same motion
by motion, and with the matrix root of the product of the covariances by a general eigenvalue decomposition and the
published loops over random draws.

Run: python -m benchmarks.evaluation
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from components.body.pose_format import PoseFormat
from lightning_modules.actor.metrics import DIVERSITY_PAIRS, MULTIMODALITY_PAIRS
from lightning_modules.actor.networks.gru_recognizer import GRURecognizer
from lightning_modules.actor.protocol import LabelledFeatures, evaluate_features, recognize_motions
from lightning_modules.actor.recognizer import RecognizerModule
from lightning_modules.actor.rotation2xyz import Rotation2XYZ

MOTIONS, FRAMES, CLASSES, BATCH, SEEDS = 1200, 60, 12, 64, 20
LIMIT = 60.0  # seconds
FORMAT = PoseFormat("rot6d", translation=False)


def make_motions(seed: int) -> tuple[Tensor, Tensor]:
    """Random motions `[N, 24, 6, T]` with labels."""
    generator = torch.Generator().manual_seed(seed)
    motions = torch.randn(MOTIONS, 24, 6, 1, generator=generator) + 0.1 * torch.randn(
        MOTIONS, 24, 6, FRAMES, generator=generator
    )
    return motions, torch.arange(MOTIONS) % CLASSES


def make_recognizer() -> RecognizerModule:
    """The published sizes, untrained."""
    torch.manual_seed(0)
    positions = Rotation2XYZ("rot6d", translation=False, jointstype="smpl")
    network = GRURecognizer(input_size=72, num_classes=CLASSES)
    return RecognizerModule(network, torch.optim.Adam, CLASSES, positions).eval()


def extract(recognizer: RecognizerModule, motions: Tensor, labels: Tensor, batch: int) -> LabelledFeatures:
    """Features of all motions, `batch` at a time."""
    answers = [
        recognize_motions(recognizer, part, torch.ones(len(part), FRAMES, dtype=torch.bool), FORMAT)
        for part in motions.split(batch)
    ]
    return LabelledFeatures(
        torch.cat([answer.features for answer in answers]), torch.cat([answer.logits for answer in answers]), labels
    )


def looped_metrics(own: LabelledFeatures, real: LabelledFeatures, seed: int) -> dict[str, float]:
    """The published way: general root, a draw at a time."""
    rng = np.random.default_rng(seed)
    ours, theirs = own.features.numpy().astype(float), real.features.numpy().astype(float)
    labels = own.labels.numpy()
    cov, other = np.cov(ours, rowvar=False), np.cov(theirs, rowvar=False)
    values, vectors = np.linalg.eig(cov @ other)
    root = (vectors * np.sqrt(values.astype(complex))) @ np.linalg.inv(vectors)
    shift = ours.mean(0) - theirs.mean(0)
    fid = shift @ shift + cov.trace() + other.trace() - 2 * root.trace().real
    total = 0.0
    for a, b in zip(rng.integers(0, len(ours), DIVERSITY_PAIRS), rng.integers(0, len(ours), DIVERSITY_PAIRS)):
        total += float(np.linalg.norm(ours[a] - ours[b]))
    within, left = 0.0, np.full(CLASSES, MULTIMODALITY_PAIRS)
    while left.any():
        a = rng.integers(0, len(ours))
        if not left[labels[a]]:
            continue
        b = rng.integers(0, len(ours))
        while labels[a] != labels[b]:
            b = rng.integers(0, len(ours))
        within += float(np.linalg.norm(ours[a] - ours[b]))
        left[labels[a]] -= 1
    confusion = np.zeros((CLASSES, CLASSES))
    for label, guess in zip(labels, own.logits.argmax(1).tolist()):
        confusion[label, guess] += 1
    return {
        "fid": float(fid), "accuracy": confusion.trace() / confusion.sum(), "diversity": total / DIVERSITY_PAIRS,
        "multimodality": within / (CLASSES * MULTIMODALITY_PAIRS),
    }  # fmt: skip


def timed(job: Callable[[], object]) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def measure(single: int = 60) -> dict[str, float]:
    """Seconds of each step; the motion-by-motion baseline runs on `single` motions of each set and is scaled up."""
    recognizer, (real, labels), (made, _) = make_recognizer(), make_motions(0), make_motions(1)
    extract(recognizer, real[:BATCH], labels[:BATCH], BATCH)  # warm
    features: dict[str, LabelledFeatures] = {}

    def both() -> None:
        features["gt"] = extract(recognizer, real, labels, BATCH)
        features["gen"] = extract(recognizer, made, labels, BATCH)

    seconds = {"features": timed(both)}
    alone = extract(recognizer, real[:single], labels[:single], 1)
    torch.testing.assert_close(alone.features, features["gt"].features[:single], rtol=1e-4, atol=1e-4)
    figures = evaluate_features(features, CLASSES)
    loop = looped_metrics(features["gen"], features["gt"], 0)
    assert abs(loop["fid"] - figures["fid_gen"]) < 1e-6 + 1e-3 * abs(loop["fid"])
    assert loop["accuracy"] == figures["accuracy_gen"]
    seconds["metrics"] = timed(lambda: evaluate_features(features, CLASSES))
    seconds["metrics of 20 seeds"] = timed(
        lambda: [evaluate_features(features, CLASSES, seed) for seed in range(SEEDS)]
    )
    seconds["features, motion by motion"] = (
        MOTIONS / single * timed(lambda: [extract(recognizer, each[:single], labels, 1) for each in (real, made)])
    )
    seconds["metrics, looped (without KID)"] = timed(
        lambda: [looped_metrics(each, features["gt"], 0) for each in features.values()]
    )
    return seconds


def main() -> None:
    torch.set_num_threads(1)
    seconds = measure()
    for name, value in seconds.items():
        print(f"{name:30s} {value:8.3f} s")
    whole = seconds["features"] + seconds["metrics"]
    baseline = seconds["features, motion by motion"] + seconds["metrics, looped (without KID)"]
    print(f"one seed {whole:.2f} s, limit {LIMIT:.0f} s: {'met' if whole <= LIMIT else 'MISSED'}")
    print(f"one seed / baseline = {whole / baseline:.3f} (1/{baseline / whole:.1f})")


if __name__ == "__main__":
    main()
