"""2D keypoints of a video from a pose estimator that runs as a process of its own.

Estimators bring packages that do not go together with ours, so they live in an environment of their own and are talked
to over pipes. The protocol, for any estimator:

* standard input: one line `{"protocol": 1, "width": W, "height": H, "fps": f}`, then raw RGB frames, W x H x 3 bytes
  each, row after row; its end means that there are no more.
* standard output: one line `{"joints": "coco17"|"body25"|"openpose18"|"mediapipe33"}` when it is ready, then for each
  frame one line `{"persons": [[[x, y, score], ...], ...]}` in pixels. Anything may go to standard error.
"""

import json
import queue
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from components.errors import InputError
from components.keypoints.joint_orders import JOINT_COUNTS, to_coco17
from components.keypoints.mediapipe_worker import PACKAGE
from components.keypoints.openpose import numbers_in_threes
from components.keypoints.tracking import track_persons
from components.media.frame_sequences import Frames

WORKER = Path(__file__).with_name("mediapipe_worker.py")
# Loading a model takes seconds, a frame a fraction of one; more means that it hangs.
_START_SECONDS, _FRAME_SECONDS = 180.0, 60.0
_LONGEST_LINE = 1 << 22


def estimator_command(python: str | None, command: Sequence[str] | None = None) -> list[str]:
    """How the estimator is started: the user's own command, else MediaPipe by the python of its environment.

    Raises:
        InputError: neither is there; says how to make the environment.
    """
    if command:
        return list(command)
    if python is None or not Path(python).expanduser().is_file():
        place = python or "<folder>/bin/python"
        folder = Path(place).parent.parent
        raise InputError(
            f"pose.python={place}: not there, and videos need a pose estimator. Make its environment with:\n"
            f"python -m venv {folder} && {folder}/bin/pip install {PACKAGE}\n"
            "or give a command of your own with pose.command=[...], or keypoints instead of videos"
        )
    return [str(Path(python).expanduser()), str(WORKER)]


class PoseEstimator:
    """A running estimator for frames of one size; a context manager.

    Args:
        command: the program and its arguments.
        size: (height, width) of the frames, pixels.
        fps: frames per second, for estimators that smooth over time.

    Raises:
        InputError: it cannot be started, ends, hangs, or answers in another form; shows the end of what it said.
    """

    def __init__(self, command: Sequence[str], size: tuple[int, int], fps: float = 25.0) -> None:
        self.size = size
        self._command = list(command)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said
            )
        except OSError as error:
            self._said.close()
            raise InputError(f"pose estimator {command[0]}: cannot be started ({error.strerror or error})") from error
        self._lines: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=_forward, args=(self._process.stdout, self._lines), daemon=True).start()
        try:
            header = {"protocol": 1, "width": size[1], "height": size[0], "fps": fps}
            self._send(json.dumps(header).encode() + b"\n")
            answer = self._answer(_START_SECONDS)
            self.joints = str(answer.get("joints"))
            if self.joints not in JOINT_COUNTS:
                raise self._fault(
                    f"says that its joints are '{self.joints}', expected one of {', '.join(JOINT_COUNTS)}"
                )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "PoseEstimator":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def estimate(self, picture: np.ndarray) -> np.ndarray:
        """The persons of a frame, COCO-17 `[P, 17, 3]` float32: x, y in pixels and a score in 0..1.

        Joints that the estimator puts outside of the picture are missing: nobody has seen them.

        Args:
            picture: RGB uint8 `[H, W, 3]`.
        """
        if picture.shape[:2] != self.size:
            raise InputError(f"frames differ in size: {self.size} and {picture.shape[:2]}; re-encode the video")
        self._send(np.ascontiguousarray(picture).tobytes())
        persons = self._answer(_FRAME_SECONDS).get("persons")
        if not isinstance(persons, list):
            raise self._fault("answered without a list 'persons'")
        found = [to_coco17(self._person(person), self.joints) for person in persons]
        return np.stack(found) if found else np.zeros((0, 17, 3), dtype=np.float32)

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            with suppress(OSError):  # it has ended already
                self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()

    def _person(self, person: Any) -> np.ndarray:
        flat = [value for joint in person for value in joint] if _is_nested(person) else None
        joints = numbers_in_threes(flat)
        if joints is None or len(joints) != JOINT_COUNTS[self.joints]:
            raise self._fault(f"answered a person without {JOINT_COUNTS[self.joints]} joints [x, y, score]")
        height, width = self.size
        x, y = joints[:, 0], joints[:, 1]
        outside = (x < 0) | (y < 0) | (x > width - 1) | (y > height - 1)
        joints[outside | (joints[:, 2] <= 0)] = 0
        joints[:, 2] = joints[:, 2].clip(0, 1)
        return joints

    def _send(self, content: bytes) -> None:
        # Who does not read lets the pipe fill up, and writing would wait for ever.
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        limit = threading.Timer(_FRAME_SECONDS, give_up)
        limit.start()
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(content)
            self._process.stdin.flush()
        except OSError as error:
            raise self._fault("does not read" if late.is_set() else "has ended") from error
        finally:
            limit.cancel()

    def _answer(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            self._process.kill()
            raise self._fault(f"has not answered for {seconds:g} s") from None
        if not line:
            raise self._fault("has ended")
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise self._fault(f"answered something that is no json: {line[:60]!r}") from error
        if not isinstance(answer, dict):
            raise self._fault("answered something that is no json object")
        return answer

    def _fault(self, what: str) -> InputError:
        size = self._said.seek(0, 2)
        self._said.seek(max(0, size - 2000))
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        last = f"\n{lines[-1][:200]}" if lines else ""
        hint = ""
        if lines and "No module named" in lines[-1]:
            hint = f"\nInstall it with: {self._command[0]} -m pip install {PACKAGE}"
        return InputError(f"pose estimator {self._command[0]}: it {what}{last}{hint}")


def estimate_video(
    frames: Frames,
    command: Sequence[str],
    fps: float = 25.0,
    max_persons: int = 2,
    advance: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Persons of a video as COCO-17, joined over time; one frame is in memory at a time.

    Returns:
        Keypoints `[M, T, 17, 2]` in pixels and scores `[M, T, 17]`, float32.

    Raises:
        InputError: a frame cannot be read, the estimator fails, or nobody is in any frame.
    """
    found = []
    with PoseEstimator(command, frames.size, fps) as estimator:
        for index in range(len(frames)):
            found.append(estimator.estimate(frames.read(index)))
            if advance is not None:
                advance(1)
    if not any(len(persons) for persons in found):
        raise InputError(f"{frames.name}: nobody was found in any of {len(frames)} frames")
    return track_persons(found, max_persons)


def _forward(channel: IO[bytes] | None, lines: "queue.Queue[bytes]") -> None:
    """Hand on lines until the channel ends, which an empty one says."""
    assert channel is not None
    with channel:
        while line := channel.readline(_LONGEST_LINE):
            lines.put(line)
    lines.put(b"")


def _is_nested(person: Any) -> bool:
    return isinstance(person, list) and all(isinstance(joint, list) for joint in person)
