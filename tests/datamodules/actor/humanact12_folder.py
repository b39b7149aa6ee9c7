"""Small HumanAct12Poses folders for tests."""

import json
import pickle
from pathlib import Path

import numpy as np


def samples(counts=(3, 2, 3), frames=(20, 30), seed=0):
    """Random content: `counts[c]` clips of class c."""
    rng = np.random.default_rng(seed)
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    lengths = [int(rng.integers(frames[0], frames[1] + 1)) for _ in labels]
    poses = [rng.normal(0, 0.4, (n, 72)).astype(np.float32) for n in lengths]
    joints = [rng.normal(0, 0.4, (n, 24, 3)).astype(np.float32) for n in lengths]
    return {"poses": poses, "joints3D": joints, "y": labels, "oldposes": []}


def write_folder(folder: Path, content=None, names=("walk", "drink", "flap")) -> Path:
    """Write the pickle and actions.json."""
    folder.mkdir(parents=True, exist_ok=True)
    content = samples() if content is None else content
    (folder / "humanact12poses.pkl").write_bytes(pickle.dumps(content))
    if names:
        (folder / "actions.json").write_text(json.dumps({str(label): name for label, name in enumerate(names)}))
    return folder
