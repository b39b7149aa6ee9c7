"""What task=classify writes and shows: tables of the best texts, pictures of the frames' weights, times."""

import hashlib
import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.files.atomic import write_json
from components.stopwatch import Stopwatch
from entrypoints.tasks.tables import Table, Value

if TYPE_CHECKING:
    from components.keypoints.annotations import SkeletonClip

log = logging.getLogger(__name__)

_SHOWN = 20
_UNSAFE = re.compile(r"[^\w.-]+")


@dataclass
class Timing:
    """Seconds by stage, and the clips that they were spent on."""

    watch: Stopwatch
    clips: int = 0

    def __str__(self) -> str:
        if not self.clips:
            return "nothing timed"
        parts = ", ".join(f"{stage} {spent:.1f}" for stage, spent in self.watch.per_item(self.clips).items())
        return f"{self.clips / max(self.watch.total, 1e-9):.2f} clips/s; ms per clip: {parts}"

    def as_data(self) -> dict[str, Any]:
        """For timing.json."""
        per_clip = self.watch.per_item(self.clips)
        return {
            "clips": self.clips,
            "clips_per_second": self.clips / max(self.watch.total, 1e-9),
            "ms_per_clip": sum(per_clip.values()),
            "ms_per_clip_by_stage": per_clip,
            "seconds_by_stage": dict(self.watch.seconds),
        }


def write_results(
    folder: Path,
    answers: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    top_k: int,
    record: Mapping[str, Any],
    problems: Sequence[str],
    timing: Timing,
) -> None:
    """Write predictions.json, predictions.csv, predictions.md and timing.json (unless nothing was done anew)."""
    clips = []
    for answer in answers:
        order = best(answer, top_k)
        clip = {key: answer[key] for key in ("name", "frames", "persons", "label", "picture") if key in answer}
        clip["top"] = [
            {
                "class": names[place],
                "probability": answer["probabilities"][place],
                "similarity": answer["similarities"][place],
            }
            for place in order
        ]
        clips.append(clip)
    write_json(folder / "predictions.json", {**record, "clips": clips, "problems": list(problems)})
    table_of(answers, names, top_k).write(folder, "predictions")
    if timing.clips:
        write_json(folder / "timing.json", timing.as_data())


def show_results(
    answers: Sequence[Mapping[str, Any]], names: Sequence[str], top_k: int, problems: Sequence[str], timing: Timing
) -> None:
    """Print the table of the first clips, name what could not be used, and say how long it took."""
    from rich.console import Console

    # In a pipe a line is not cut to the width of a terminal that is not there.
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table_of(answers[:_SHOWN], names, min(top_k, 3)).to_rich())
    if len(answers) > _SHOWN:
        log.info("and %d more clips, all in predictions.csv", len(answers) - _SHOWN)
    if problems:
        log.warning("%d problems:", len(problems))
    for line in problems[:_SHOWN]:
        log.warning("  %s", line)
    if timing.clips:
        log.info("%d clips, %s", timing.clips, timing)


def table_of(answers: Sequence[Mapping[str, Any]], names: Sequence[str], top_k: int) -> Table:
    """The best texts of each clip with their probabilities."""
    count = min(top_k, len(names))
    columns = ["clip", "frames"]
    for rank in range(1, count + 1):
        columns += [f"top {rank}", f"p {rank}"]
    rows: list[list[Value]] = []
    for answer in answers:
        row: list[Value] = [str(answer["name"]), int(answer["frames"])]
        for place in best(answer, count):
            row += [names[place], float(answer["probabilities"][place])]
        rows.append(row)
    return Table("Predictions", columns, rows)


def best(answer: Mapping[str, Any], count: int) -> list[int]:
    """Places of the classes with the highest probability; of equals the first."""
    probabilities = answer["probabilities"]
    return sorted(range(len(probabilities)), key=lambda place: (-probabilities[place], place))[:count]


def write_attention(
    folder: Path, answer: Mapping[str, Any], clip: "SkeletonClip", limbs: Any, names: Sequence[str], frames: int
) -> str:
    """Write the picture of what each frame counted for; returns its path below the folder."""
    import numpy as np

    from components.keypoints.drawing import skeleton_strip
    from components.media.pictures import write_png

    place = best(answer, 1)[0]
    title = f"{answer['name']}: {names[place]} ({100 * answer['probabilities'][place]:.0f} %)"
    picture = skeleton_strip(clip.keypoint, clip.score, limbs, np.array(answer["weights"]), frames, title=title)
    path = Path("attention") / f"{safe_name(str(answer['name']))}.png"
    write_png(folder / path, picture)
    return path.as_posix()


def safe_name(name: str) -> str:
    """A file name for a clip; names from outside may hold anything, and two never meet."""
    plain = _UNSAFE.sub("_", name).strip("._")[:80]
    if plain == name:
        return plain
    return f"{plain}_{hashlib.sha256(json.dumps(name).encode()).hexdigest()[:6]}"
