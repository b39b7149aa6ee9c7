"""`make demo`: train actor_mix on data made here, evaluate it, generate two actions at once, say where to look.

The three commands are those that a user would type; each runs in a process of its own.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

# Legs of the one and arms of the other, then what they are made of.
PAIRS: tuple[str, ...] = ("walk+drink", "walk+phone", "run+lift_dumbbell", "sit+eat")
SINGLES: tuple[str, ...] = ("walk", "drink", "run", "sit")
SAMPLES = 2
# A slow machine trains less rather than longer.
TIME_LIMIT = "trainer.max_time=00:00:03:45"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m entrypoints.demo",
        description="Train experiment=actor_mix, evaluate it, generate two actions at once and render them "
        "(about 5 minutes on 2 CPU cores).",
    )
    parser.add_argument("overrides", nargs="*", help="for the training, such as trainer.max_epochs=20")
    outputs = Path(os.environ.get("TROUPE_OUTPUTS", "outputs"))
    folder = outputs / "demo" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    sys.exit(demo(folder, parser.parse_args(arguments).overrides))


def demo(folder: Path, overrides: Sequence[str] = ()) -> int:
    """Run the three commands.

    Args:
        folder: the run's folder.
        overrides: further ones for the training.

    Returns:
        Exit code of the first command that failed, else 0.
    """
    begin = time.monotonic()
    generated = folder / "generated" / "demo"
    for command in commands(folder, generated, overrides):
        print(f"\n$ {shlex.join(['python', *command[1:]])}", flush=True)
        code = subprocess.run(command, check=False).returncode
        if code != 0:
            print(f"\nThe demo stopped: this command ended with exit code {code}.", file=sys.stderr)
            return code
    print("\n".join(["", *summary(folder, generated), f"{'time':<14}{(time.monotonic() - begin) / 60:.1f} minutes"]))
    return 0


def commands(folder: Path, generated: Path, overrides: Sequence[str]) -> list[list[str]]:
    """The three command lines."""
    actions = ",".join([*PAIRS, *SINGLES])
    return [
        _command("train", "experiment=actor_mix", f"hydra.run.dir={_quoted(folder)}", TIME_LIMIT, *overrides),
        _command("evaluate", f"run={_quoted(folder)}", f"pairs=[{','.join(PAIRS)}]"),
        _command(
            "predict", f"run={_quoted(folder)}", "task=generate", f"actions=[{actions}]", f"samples={SAMPLES}",
            f"output={_quoted(generated)}",
        ),
    ]  # fmt: skip


def _command(entry: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"entrypoints.{entry}", *arguments]


def _quoted(path: Path) -> str:
    """A path as a value on Hydra's command line, where blanks, commas and brackets mean something."""
    text = str(path)
    return text if re.fullmatch(r"[\w./-]+", text) else "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def summary(folder: Path, generated: Path) -> list[str]:
    """What came out and where it lies, one line each."""
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    lines = [
        ("pictures", generated / "pictures" / "all.png"),
        ("", folder / "figures" / "loss.png"),
        ("", folder / "evaluation" / "figures" / "generation.png"),
        ("video", generated / "videos" / "all.mp4"),
        ("gif", generated / "videos" / "all.gif"),
        ("viewer", generated / "viewer.html"),
        ("motions (npz)", generated / "motions"),
        ("metrics", folder / "metrics.json"),
        ("tables", folder / "evaluation" / "reconstruction.md"),
        ("checkpoint", folder / "checkpoints" / "best.ckpt"),
    ]
    figures = (
        ("test/rc", "squared error of the pose features"),
        ("eval/rc_to_mean_pose", "that, as a share of always predicting the mean pose"),
        ("eval/mpjpe_mm", "mean error of the joints, mm"),
        ("eval/pair_legs_to_single", "leg motion of two actions at once, as a share of the one alone"),
        ("eval/pair_arms_to_single", "arm motion, likewise"),
    )
    return [
        *(f"{title:<14}{path}" for title, path in lines if path.exists()),
        *(f"{metrics[name]:<14.4g}{name}: {meaning}" for name, meaning in figures if name in metrics),
    ]


if __name__ == "__main__":
    main()
