"""Which joints a 2D skeleton has, which are joined by limbs, and which change places when a picture is mirrored."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.spelling import did_you_mean

Limb = tuple[int, int]


@dataclass(frozen=True)
class KeypointSkeleton:
    """A joint set. Left and right lists are paired: entry i of one is the mirror image of entry i of the other.

    Args:
        name: as in configs, or the file it came from.
        joints: names of the V joints, in the order of the arrays.
        limbs: joint pairs, one heatmap channel each for limb heatmaps.
        left_kp, right_kp: joints of the person's own left and right side.
        left_limb, right_limb: numbers of limbs of each side. A limb in neither is its own mirror image.

    Raises:
        InputError: lists that do not fit together; the message names the list and the entry.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[Limb, ...]
    left_kp: tuple[int, ...]
    right_kp: tuple[int, ...]
    left_limb: tuple[int, ...]
    right_limb: tuple[int, ...]

    def __post_init__(self) -> None:
        where = f"skeleton '{self.name}'"
        if not self.joints:
            raise InputError(f"{where} has no joints; expected their names, in the order of the arrays")
        twice = _first_repeated(self.joints)
        if twice is not None:
            raise InputError(f"{where}: two joints are called '{twice}'")
        for number, limb in enumerate(self.limbs):
            if len(limb) != 2 or limb[0] == limb[1] or not all(0 <= joint < self.num_joints for joint in limb):
                raise InputError(
                    f"{where}: limb {number} is {list(limb)}; expected two different joints of 0..{self.num_joints - 1}"
                )
        twice = _first_repeated([tuple(sorted(limb)) for limb in self.limbs])
        if twice is not None:
            raise InputError(f"{where}: the limb {list(twice)} is listed twice")
        _check_sides(where, "kp", "joint", self.left_kp, self.right_kp, self.num_joints)
        _check_sides(where, "limb", "limb", self.left_limb, self.right_limb, self.num_limbs)
        self._check_limb_mirrors(where)

    @property
    def num_joints(self) -> int:
        """V."""
        return len(self.joints)

    @property
    def num_limbs(self) -> int:
        """L, the channels of limb heatmaps."""
        return len(self.limbs)

    @cached_property
    def joint_mirror(self) -> tuple[int, ...]:
        """`mirrored = keypoint[..., joint_mirror, :]` puts every joint where its mirror image belongs."""
        return _mirror(self.num_joints, self.left_kp, self.right_kp)

    @cached_property
    def limb_mirror(self) -> tuple[int, ...]:
        """As `joint_mirror`, for limbs."""
        return _mirror(self.num_limbs, self.left_limb, self.right_limb)

    def _check_limb_mirrors(self, where: str) -> None:
        for number, (start, end) in enumerate(self.limbs):
            image = self.limbs[self.limb_mirror[number]]
            if {self.joint_mirror[start], self.joint_mirror[end]} != set(image):
                raise InputError(
                    f"{where}: limb {number} {[start, end]} is paired with limb {self.limb_mirror[number]} "
                    f"{list(image)}, which is not its mirror image by left_kp and right_kp.\n"
                    "left_limb and right_limb hold numbers of limbs in the same order; a limb on the middle is in none"
                )


def load_skeleton(source: str | Path) -> KeypointSkeleton:
    """A skeleton by name (`coco17`, `jhmdb15`, `ntu25`) or from a json file.

    The file holds `joint_names`, `limbs` (pairs of joint numbers), `left_kp`, `right_kp`, `left_limb` and `right_limb`;
    other keys are left alone. Without `limbs` only joint heatmaps can be made.

    Raises:
        InputError: neither a known name nor a readable file, or its lists do not fit together.
    """
    if isinstance(source, str) and source in SKELETONS:
        return SKELETONS[source]
    path = Path(source).expanduser()
    if path.suffix != ".json":
        raise InputError(
            f"there is no skeleton '{source}'{did_you_mean(source, SKELETONS)}.\n"
            f"Expected {', '.join(SKELETONS)}, or a json file with joint_names, limbs, left_kp, right_kp, left_limb "
            "and right_limb"
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read the skeleton {path}: {error}") from error
    return _from_json(path, content)


def check_joints(skeleton: KeypointSkeleton, count: int, where: str) -> None:
    """Raise an `InputError` unless keypoints of `count` joints fit the skeleton; `where` begins the message."""
    if count != skeleton.num_joints:
        fitting = [name for name, other in SKELETONS.items() if other.num_joints == count]
        hint = f"data.skeleton={fitting[0]} has {count}" if fitting else "data.skeleton=<json file> describes others"
        raise InputError(
            f"{where} has {count} joints, but skeleton '{skeleton.name}' has {skeleton.num_joints}; {hint}"
        )


def _from_json(path: Path, content: Any) -> KeypointSkeleton:
    if not isinstance(content, dict) or not isinstance(content.get("joint_names"), list):
        raise InputError(f"{path}: expected a json object with joint_names, limbs, left_kp, right_kp, ...")
    limbs = content.get("limbs", [])
    if not isinstance(limbs, list) or not all(isinstance(limb, list) for limb in limbs):
        raise InputError(f"{path}: limbs must be a list of pairs of joint numbers, like [[0, 1], [1, 2]]")
    sides = {key: content.get(key, []) for key in ("left_kp", "right_kp", "left_limb", "right_limb")}
    for key, numbers in {**sides, **{f"limbs[{i}]": limb for i, limb in enumerate(limbs)}}.items():
        if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
            raise InputError(f"{path}: {key} must be a list of whole numbers, found {numbers!r}")
    return KeypointSkeleton(
        str(path),
        tuple(str(name) for name in content["joint_names"]),
        tuple(tuple(limb) for limb in limbs),
        **{key: tuple(numbers) for key, numbers in sides.items()},
    )


def _check_sides(where: str, key: str, noun: str, left: Sequence[int], right: Sequence[int], count: int) -> None:
    if len(left) != len(right):
        raise InputError(
            f"{where}: left_{key} has {len(left)} entries and right_{key} {len(right)}; "
            f"expected pairs, entry i of both being mirror images"
        )
    for side, numbers in (("left", left), ("right", right)):
        wrong = next((number for number in numbers if not 0 <= number < count), None)
        if wrong is not None:
            raise InputError(
                f"{where}: side list {side}_{key} names {noun} {wrong}; there are {count} (0..{count - 1})"
            )
    twice = _first_repeated([*left, *right])
    if twice is not None:
        raise InputError(f"{where}: {noun} {twice} is listed twice in left_{key} and right_{key}")


def _first_repeated(items: Sequence[Any]) -> Any:
    seen: set[Any] = set()
    return next((item for item in items if item in seen or seen.add(item)), None)  # type: ignore[func-returns-value]


def _mirror(count: int, left: Sequence[int], right: Sequence[int]) -> tuple[int, ...]:
    order = list(range(count))
    for one, other in zip(left, right):
        order[one], order[other] = other, one
    return tuple(order)


def _sided(parts: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{side}_{part}" for part in parts for side in ("left", "right"))


SKELETONS: dict[str, KeypointSkeleton] = {
    skeleton.name: skeleton
    for skeleton in (
        # Keypoints of COCO, limbs in pyskl's order.
        KeypointSkeleton(
            "coco17",
            ("nose", *_sided(["eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"])),
            ((0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (5, 7), (7, 9), (0, 6), (6, 8), (8, 10), (5, 11), (11, 13),
             (13, 15), (6, 12), (12, 14), (14, 16), (11, 12)),
            (1, 3, 5, 7, 9, 11, 13, 15),
            (2, 4, 6, 8, 10, 12, 14, 16),
            (0, 2, 4, 5, 6, 10, 11, 12),
            (1, 3, 7, 8, 9, 13, 14, 15),
        ),
        KeypointSkeleton(
            "jhmdb15",
            ("neck", "belly", "face", "right_shoulder", "left_shoulder", "right_hip", "left_hip", "right_elbow",
             "left_elbow", "right_knee", "left_knee", "right_wrist", "left_wrist", "right_ankle", "left_ankle"),
            ((2, 0), (0, 1), (0, 3), (3, 7), (7, 11), (0, 4), (4, 8), (8, 12), (1, 5), (5, 9), (9, 13), (1, 6),
             (6, 10), (10, 14)),
            (4, 6, 8, 10, 12, 14),
            (3, 5, 7, 9, 11, 13),
            (5, 6, 7, 11, 12, 13),
            (2, 3, 4, 8, 9, 10),
        ),
        # Kinect v2, as in NTU RGB+D.
        KeypointSkeleton(
            "ntu25",
            ("spine_base", "spine_middle", "neck", "head", "left_shoulder", "left_elbow", "left_wrist", "left_hand",
             "right_shoulder", "right_elbow", "right_wrist", "right_hand", "left_hip", "left_knee", "left_ankle",
             "left_foot", "right_hip", "right_knee", "right_ankle", "right_foot", "spine_shoulder", "left_hand_tip",
             "left_thumb", "right_hand_tip", "right_thumb"),
            ((0, 1), (1, 20), (20, 2), (2, 3), (20, 4), (4, 5), (5, 6), (6, 7), (7, 21), (7, 22), (20, 8), (8, 9),
             (9, 10), (10, 11), (11, 23), (11, 24), (0, 12), (12, 13), (13, 14), (14, 15), (0, 16), (16, 17),
             (17, 18), (18, 19)),
            (4, 5, 6, 7, 12, 13, 14, 15, 21, 22),
            (8, 9, 10, 11, 16, 17, 18, 19, 23, 24),
            (4, 5, 6, 7, 8, 9, 16, 17, 18, 19),
            (10, 11, 12, 13, 14, 15, 20, 21, 22, 23),
        ),
    )
}  # fmt: skip
