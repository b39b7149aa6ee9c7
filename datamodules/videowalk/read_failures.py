"""Counts clips that could not be read, and stops where they are too many."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.files.atomic import write_json
from datamodules.videowalk.clip_source import listing

LIST = "failed_clips.json"


@dataclass(frozen=True)
class Failure:
    """One video: how often a clip of it could not be read, and the last reason."""

    count: int
    reason: str


class ReadFailures:
    """Failures by path over all workers of a process, as they arrive with the batches.

    Args:
        max_ratio: largest share of the clips asked for that may fail.
        expected: clips of an epoch in this process. A share is judged of at least that many, so that one broken clip
            among the first few does not stop a long training, while data that are largely broken still stop it early.
    """

    def __init__(self, max_ratio: float, expected: int = 1) -> None:
        self.max_ratio = max_ratio
        self.expected = expected
        self.asked = 0
        self.failed = 0
        self.by_path: dict[str, Failure] = {}

    def record(self, batch: Sequence[Sequence[tuple[str, str]]]) -> None:
        """Count a batch: per clip the failures before it.

        Raises:
            InputError: more than the admitted share of the clips has failed.
        """
        self.asked += len(batch)
        for failures in batch:
            self.failed += bool(failures)
            for path, reason in failures:
                self.by_path[path] = Failure(self.by_path.get(path, Failure(0, "")).count + 1, reason)
        if self.failed > self.max_ratio * max(self.asked, self.expected):
            raise InputError(
                f"{self.failed} of {self.asked} clips could not be read ({self.examples()}).\n"
                f"data.max_fail_ratio={self.max_ratio:g} admits {self.max_ratio * max(self.asked, self.expected):.4g}: "
                "mend or remove these files, or raise it"
            )

    def examples(self) -> str:
        """The videos that failed most, in words."""
        return listing([f"{path} ({failure.count}x): {failure.reason}" for path, failure in self._worst()])

    @classmethod
    def together(cls, parts: Sequence["ReadFailures"]) -> "ReadFailures":
        """What several processes have counted."""
        total = cls(parts[0].max_ratio, sum(part.expected for part in parts))
        for part in parts:
            total.asked += part.asked
            total.failed += part.failed
            for path, failure in part.by_path.items():
                before = total.by_path.get(path, Failure(0, "")).count
                total.by_path[path] = replace(failure, count=before + failure.count)
        return total

    def facts(self) -> dict[str, Any]:
        """Plain numbers, and the twenty videos that failed most."""
        worst = [{"path": path, **asdict(failure)} for path, failure in self._worst()[:20]]
        return {"count": self.failed, "asked": self.asked, "videos": len(self.by_path), "samples": worst}

    def write(self, folder: Path) -> Path:
        """The whole list as json, worst first."""
        rows = [{"path": path, **asdict(failure)} for path, failure in self._worst()]
        write_json(folder / LIST, {"clips_asked": self.asked, "clips_failed": self.failed, "videos": rows})
        return folder / LIST

    def _worst(self) -> list[tuple[str, Failure]]:
        return sorted(self.by_path.items(), key=lambda item: (-item[1].count, item[0]))
