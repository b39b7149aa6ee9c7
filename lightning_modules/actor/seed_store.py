"""Results of finished seeds on disk, so that an evaluation that was stopped goes on where it was."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from components.files.atomic import write_json
from components.files.json_files import read_json_object
from lightning_modules.actor.protocol import PROTOCOL_VERSION, RealSplit, SeedResult


class SeedFiles:
    """One file per seed; a file that was made from other inputs is made anew.

    Args:
        folder: where the files lie; made when the first seed is done.
        key: checksum of everything that the figures depend on, see `checksum`.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self.key = key

    def load(self, seed: int) -> SeedResult | None:
        """The result of a seed, or None."""
        content = read_json_object(self._file(seed))
        if content is None or content.get("key") != self.key or content.get("seed") != seed:
            return None
        return SeedResult(seed, content["metrics"], content["confusion"])

    def save(self, result: SeedResult) -> None:
        """Write the result of a seed.

        Raises:
            InputError: the folder cannot be written.
        """
        content = {"key": self.key, "seed": result.seed, "metrics": result.metrics, "confusion": result.confusion}
        write_json(self._file(result.seed), content)

    def _file(self, seed: int) -> Path:
        return self.folder / f"seed_{seed:03d}.json"


def checksum(modules: Iterable[nn.Module], splits: Iterable[RealSplit], settings: Mapping[str, Any]) -> str:
    """Checksum of weights, data and settings.

    Args:
        modules: generator and recogniser.
        splits: labels and motions of all samples, with the frames of one seed.
        settings: plain containers.
    """
    digest = hashlib.sha256(f"protocol {PROTOCOL_VERSION}".encode())
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    for module in modules:
        # Buffers too: the body of a recogniser is in no state dict.
        for name, value in (*module.state_dict().items(), *module.named_buffers()):
            digest.update(name.encode())
            _add(digest, value)
    for split in splits:
        digest.update(f"{split.name} {len(split.motions)}".encode())
        digest.update(split.motions.labels.tobytes())
        for index in range(len(split.motions)):
            _add(digest, split.motions[index, index]["motion"])
    return digest.hexdigest()


def _add(digest: Any, value: Any) -> None:
    if isinstance(value, Tensor):
        digest.update(str(tuple(value.shape)).encode())
        digest.update(value.detach().cpu().contiguous().float().numpy().tobytes())
