"""Reads motion capture files (`.bvh`): a skeleton and, per frame, Euler angles and positions of its joints."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from components.errors import InputError
from components.geometry.rotations import axis_rotation

_CHANNEL = re.compile(r"([XYZ])(position|rotation)", re.IGNORECASE)
_MAX_JOINTS = 1000


@dataclass(frozen=True)
class BvhMotion:
    """A motion in the units and axes of its file."""

    names: tuple[str, ...]
    """Of the joints, parents before children."""
    parents: tuple[int, ...]
    """-1 for the root."""
    offsets: Tensor
    """`[J, 3]` from the parent, in the pose where all angles are zero."""
    ends: dict[int, Tensor]
    """Joint -> `[3]` offset of the tip beyond it (`End Site`)."""
    rotations: Tensor
    """`[T, J, 3, 3]` local rotations."""
    translations: Tensor
    """`[T, J, 3]` offset from the parent per frame; `offsets` where a joint has no position channels."""
    fps: float

    def __len__(self) -> int:
        return len(self.rotations)

    def world(self) -> tuple[Tensor, Tensor]:
        """World positions `[T, J, 3]` and rotations `[T, J, 3, 3]`."""
        positions, rotations = [self.translations[:, 0]], [self.rotations[:, 0]]
        for joint, parent in enumerate(self.parents[1:], start=1):
            turned = (rotations[parent] @ self.translations[:, joint].unsqueeze(-1)).squeeze(-1)
            positions.append(positions[parent] + turned)
            rotations.append(rotations[parent] @ self.rotations[:, joint])
        return torch.stack(positions, dim=1), torch.stack(rotations, dim=1)

    def rest(self) -> Tensor:
        """Positions `[J, 3]` where all angles are zero; the root at the origin."""
        rest = self.offsets.clone()
        rest[0] = 0
        for joint, parent in enumerate(self.parents[1:], start=1):
            rest[joint] += rest[parent]
        return rest


def read_bvh(path: str | Path) -> BvhMotion:
    """Read a file: channels in any order, positions on any joint, names with colons and spaces, any line ends.

    Raises:
        InputError: no such file, truncated or malformed; the message names the line.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        return _Parser(text).parse()
    except _FaultError as error:
        raise InputError(f"{path}, {error}") from error


class _FaultError(Exception):
    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")


class _Parser:
    """Line by line: every known file keeps one statement per line, braces apart."""

    def __init__(self, text: str) -> None:
        lines = enumerate(text.splitlines(), start=1)
        self.lines = [(number, line.strip()) for number, line in lines if line.strip()]
        self.place = 0
        self.names: list[str] = []
        self.parents: list[int] = []
        self.offsets: list[list[float]] = []
        self.channels: list[list[str]] = []
        self.ends: dict[int, list[float]] = {}

    def parse(self) -> BvhMotion:
        self.expect("HIERARCHY")
        self.hierarchy()
        self.expect("MOTION")
        count = self.number_after(r"Frames\s*:", "Frames: <count>")
        if count < 1 or count != int(count):
            raise self.fault(f"it states {count:g} frames, expected at least 1", back=1)
        time = self.number_after(r"Frame\s+Time\s*:", "Frame Time: <seconds>")
        if not 1e-4 <= time <= 10:
            raise self.fault(f"its frame time of {time:g} seconds cannot be", back=1)
        return self.motion(self.rows(int(count)), 1 / time)

    def fault(self, message: str, back: int = 0) -> _FaultError:
        place = self.place - back
        if place >= len(self.lines):
            last = self.lines[-1][0] if self.lines else 1
            return _FaultError(last, f"the file ends here; {message}")
        return _FaultError(self.lines[place][0], message)

    def take(self, expected: str) -> str:
        if self.place >= len(self.lines):
            raise self.fault(f"expected {expected}")
        self.place += 1
        return self.lines[self.place - 1][1]

    def expect(self, word: str) -> None:
        found = self.take(word)
        if found.upper() != word:
            raise self.fault(f"found '{found[:40]}', expected {word}", back=1)

    def number_after(self, head: str, expected: str) -> float:
        line = self.take(expected)
        match = re.fullmatch(head + r"\s*(\S+)", line, flags=re.IGNORECASE)
        return self.numbers([match[1]] if match else [line], 1, expected)[0]

    def numbers(self, words: list[str], count: int, expected: str) -> list[float]:
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if len(values) != count or not all(math.isfinite(value) for value in values):
            raise self.fault(f"found '{' '.join(words)[:40]}', expected {expected}", back=1)
        return values

    def hierarchy(self) -> None:
        """The tree; `open_joints` are those whose braces are open, None for an end site."""
        open_joints: list[int | None] = []
        pending: int | None = None  # a joint or end site whose brace comes next
        while True:
            if self.names and not open_joints and pending is None:
                return
            line = self.take("a joint or a closing brace")
            # Some programs put the brace behind the name.
            head, brace = (line[:-1].strip(), True) if line.endswith("{") and line != "{" else (line, False)
            word, _, rest = head.partition(" ")
            word = word.upper()
            if word in ("ROOT", "JOINT"):
                pending = self.joint(word, rest.strip(), open_joints)
                open_joints.append(pending)
            elif word == "END":
                if not open_joints or open_joints[-1] is None:
                    raise self.fault("an End Site outside of a joint", back=1)
                pending = open_joints[-1]
                open_joints.append(None)
            elif word == "}":
                if pending is not None or not open_joints:
                    raise self.fault("a closing brace without an opening one", back=1)
                open_joints.pop()
            elif word == "OFFSET" and pending is None and open_joints:
                self.offset(rest.split(), open_joints)
            elif word == "CHANNELS" and pending is None and open_joints and open_joints[-1] is not None:
                self.channel(rest.split(), open_joints[-1])
            elif word != "{" or pending is None:
                raise self.fault(f"found '{line[:40]}', expected JOINT, End Site, OFFSET, CHANNELS or a brace", back=1)
            if brace or word == "{":
                pending = None

    def joint(self, word: str, name: str, open_joints: list[int | None]) -> int:
        if (word == "ROOT") != (not self.names) or not name or (open_joints and open_joints[-1] is None):
            raise self.fault("expected one ROOT with a name, and JOINT inside of it", back=1)
        if len(self.names) >= _MAX_JOINTS:
            raise self.fault(f"more than {_MAX_JOINTS} joints", back=1)
        parent = open_joints[-1] if open_joints else -1
        assert parent is not None
        self.names.append(name)
        self.parents.append(parent)
        self.offsets.append([0.0, 0.0, 0.0])
        self.channels.append([])
        return len(self.names) - 1

    def offset(self, words: list[str], open_joints: list[int | None]) -> None:
        values = self.numbers(words, 3, "OFFSET with three numbers")
        if open_joints[-1] is None:
            owner = open_joints[-2]
            assert owner is not None
            self.ends[owner] = values
        else:
            self.offsets[open_joints[-1]] = values

    def channel(self, words: list[str], joint: int) -> None:
        names = words[1:]
        good = words and words[0] == str(len(names)) and all(_CHANNEL.fullmatch(name) for name in names)
        if not good or len({name.lower() for name in names}) != len(names):
            raise self.fault(
                f"found 'CHANNELS {' '.join(words)[:60]}', expected a count and as many of Xposition .. Zrotation",
                back=1,
            )
        self.channels[joint] = [name.lower() for name in names]

    def rows(self, count: int) -> np.ndarray:
        """`[T, channels]`."""
        width = sum(len(names) for names in self.channels)
        if not width:
            raise self.fault("the skeleton has no channels")
        lines = self.lines[self.place :]
        if len(lines) != count:
            # The last line is often cut short: it is named where its numbers are counted.
            self.place = len(self.lines) - 1 if lines else len(self.lines)
            raise self.fault(f"{len(lines)} of the {count} frames that the head states")
        rows = np.empty((count, width))
        for row, (number, line) in enumerate(lines):
            words = line.split()
            if len(words) != width:
                raise _FaultError(number, f"{len(words)} numbers in frame {row}, expected {width}")
            try:
                rows[row] = np.array(words).astype(np.float64)
            except ValueError as error:
                raise _FaultError(number, f"something that is no number in frame {row}") from error
            if not np.isfinite(rows[row]).all():
                raise _FaultError(number, f"frame {row} holds NaN or infinity")
        return rows

    def motion(self, rows: np.ndarray, fps: float) -> BvhMotion:
        values = torch.from_numpy(rows)
        offsets = torch.tensor(self.offsets, dtype=torch.float64)
        rotations, translations = [], []
        column = 0
        for joint, names in enumerate(self.channels):
            rotation = torch.eye(3, dtype=torch.float64).expand(len(rows), 3, 3)
            translation = offsets[joint].repeat(len(rows), 1)
            for name in names:
                if name.endswith("rotation"):
                    # Angles apply in the order of the channels: the first one turns the axes of those that follow.
                    rotation = rotation @ axis_rotation(name[0].upper(), torch.deg2rad(values[:, column]))
                else:
                    # Position channels replace the offset: programs write the whole place into them.
                    translation[:, "xyz".index(name[0])] = values[:, column]
                column += 1
            rotations.append(rotation)
            translations.append(translation)
        return BvhMotion(
            tuple(self.names), tuple(self.parents), offsets,
            {joint: torch.tensor(offset, dtype=torch.float64) for joint, offset in self.ends.items()},
            torch.stack(rotations, dim=1), torch.stack(translations, dim=1), fps,
        )  # fmt: skip
