"""Which joint of a motion capture skeleton is which joint of SMPL: by name, then by the tree."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from components.body.skeleton import SMPL_JOINTS
from components.errors import InputError
from components.spelling import did_you_mean

# Names without prefix, side and signs, in lower case. Mixamo, CMU, Bandai-Namco, LAFAN1, Truebones, Xsens, SMPL, VRM.
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "pelvis": ("hips", "hip", "pelvis", "root", "hipscenter", "waist"),
    "hip": ("upleg", "upperleg", "thigh", "hip", "hipjoint", "femur", "legupper", "legup"),
    "knee": ("leg", "lowerleg", "shin", "knee", "calf", "tibia", "leglower", "lowleg"),
    "ankle": ("foot", "ankle"),
    "foot": ("toe", "toebase", "toes", "ball", "foottoe", "foot"),
    "neck": ("neck", "lowerneck", "neckbase"),
    "head": ("head",),
    "collar": ("shoulder", "collar", "clavicle", "shouldercc", "collarbone", "chestarm"),
    "shoulder": ("arm", "upperarm", "uparm", "shoulder", "humerus", "shldr", "armupper"),
    "elbow": ("forearm", "lowerarm", "lowarm", "elbow", "radius", "armlower"),
    "wrist": ("hand", "wrist"),
}
_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
_SIDED = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")
# Without these a person cannot be posed.
REQUIRED: tuple[str, ...] = tuple(
    ["pelvis", *(f"{side}_{part}" for side in ("left", "right") for part in ("hip", "knee", "shoulder", "elbow"))]
)


def read_joint_map(path: str | Path, names: Sequence[str]) -> dict[str, int]:
    """A user's map, a YAML file `smpl joint: joint of the file`, for a skeleton with these names.

    Raises:
        InputError: the file is malformed, or names what neither skeleton has.
    """
    path = Path(path).expanduser()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InputError(f"dataset.joint_map: cannot read {path}: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"dataset.joint_map={path}: expected lines like 'left_knee: LeftLeg'")
    found = {}
    for joint, name in content.items():
        if joint not in SMPL_JOINTS:
            hint = did_you_mean(str(joint), SMPL_JOINTS)
            raise InputError(f"dataset.joint_map={path}: SMPL has no joint '{joint}'{hint}")
        if str(name) not in names:
            hint = did_you_mean(str(name), names)
            raise InputError(f"dataset.joint_map={path}: the skeleton has no joint '{name}'{hint}")
        found[str(joint)] = list(names).index(str(name))
    _demand(found, names, f"dataset.joint_map={path}")
    return found


def match_joints(names: Sequence[str], parents: Sequence[int]) -> dict[str, int]:
    """SMPL joint -> number of the joint in a skeleton; joints without a counterpart are absent.

    Limbs are found by name and must lie on one path of the tree; where a name stands for two joints (`LeftShoulder` is
    a collar or a shoulder) the tree decides. Of the trunk, the joints between pelvis and arms become spine1, spine2 and
    spine3: the first, one between, and the last.

    Raises:
        InputError: a joint that is needed is not found.
    """
    plain = [_normalise(name) for name in names]
    found: dict[str, int] = {}
    pelvis = next((joint for joint, (side, core) in enumerate(plain) if not side and core in _SYNONYMS["pelvis"]), None)
    # Some files have a root on the floor above their hips.
    for joint, (side, core) in enumerate(plain):
        if not side and core in ("hips", "pelvis", "hip"):
            pelvis = joint
            break
    if pelvis is not None:
        found["pelvis"] = pelvis
    for side in ("left", "right"):
        for parts in (("hip", "knee", "ankle", "foot"), ("collar", "shoulder", "elbow", "wrist")):
            chain = _chain(side, parts, plain, parents)
            found |= {f"{side}_{part}": joint for part, joint in chain.items() if joint != pelvis}
    _demand(found, names, "the joint names are not recognised")
    found |= _trunk(found, plain, parents)
    return found


def _normalise(name: str) -> tuple[str, str]:
    """Side ("left", "right" or "") and the rest of a name in lower case, without the prefix of its character."""
    bare = re.sub(r"^(.*[:|])", "", name.strip())
    bare = re.sub(r"^(mixamorig\d*|bip\d+|bip|m_avg|def|valvebiped|jbip|b)[_\s.]+", "", bare, flags=re.IGNORECASE)
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", bare)
    words = [word.lower() for word in words]
    side = ""
    for place in (0, len(words) - 1):
        if not side and len(words) > 1 and words[place] in _SIDES:
            side = _SIDES[words.pop(place)]
    if not side and words and words[0][:1] in "lr" and len(words) == 1:
        # CMU: lfemur, rhumerus.
        core = words[0][1:]
        if any(core in names for part, names in _SYNONYMS.items() if part in _SIDED):
            return _SIDES[words[0][0]], core
    for head in ("left", "right"):
        if not side and words and words[0].startswith(head) and len(words[0]) > len(head):
            side, words[0] = head, words[0][len(head) :]
    # Toe0, Neck1; a trunk keeps its numbers apart by the tree.
    return side, "".join(words).rstrip("0123456789")


def _chain(side: str, parts: Sequence[str], plain: Sequence[tuple[str, str]], parents: Sequence[int]) -> dict[str, int]:
    """The assignment of a limb that names most parts, each below the one before; of equals the one nearest the root."""
    candidates = {
        part: [joint for joint, (own, core) in enumerate(plain) if own == side and core in _SYNONYMS[part]]
        for part in parts
    }
    best: dict[str, int] = {}

    def extend(place: int, chosen: dict[str, int]) -> None:
        nonlocal best
        if place == len(parts):
            if _rank(chosen, plain) > _rank(best, plain):
                best = dict(chosen)
            return
        last = list(chosen.values())[-1] if chosen else None
        for joint in candidates[parts[place]]:
            if last is None or (joint != last and _is_below(joint, last, parents)):
                extend(place + 1, {**chosen, parts[place]: joint})
        extend(place + 1, chosen)

    extend(0, {})
    return best


def _rank(chosen: Mapping[str, int], plain: Sequence[tuple[str, str]]) -> tuple[int, int, int]:
    """More parts are better, then names nearer to the first synonyms, then joints nearer to the root."""
    places = [_SYNONYMS[part].index(plain[joint][1]) for part, joint in chosen.items()]
    return len(chosen), -sum(places), -sum(chosen.values())


def _is_below(joint: int, ancestor: int, parents: Sequence[int]) -> bool:
    while joint > ancestor:
        joint = parents[joint]
    return joint == ancestor and joint >= 0


def path_to(joint: int, ancestor: int, parents: Sequence[int]) -> list[int]:
    """Joints from below `ancestor` down to `joint`; empty where it does not lie below."""
    way = []
    while joint > ancestor:
        way.append(joint)
        joint = parents[joint]
    return way[::-1] if joint == ancestor else []


def _trunk(found: Mapping[str, int], plain: Sequence[tuple[str, str]], parents: Sequence[int]) -> dict[str, int]:
    """Spine, neck and head."""
    pelvis = found["pelvis"]
    arms = [found.get(f"{side}_collar", found[f"{side}_shoulder"]) for side in ("left", "right")]
    left, right = (path_to(joint, pelvis, parents) for joint in arms)
    shared = [joint for joint in left if joint in right]
    # A joint that is called a neck may carry the arms; what is called neither bends the trunk all the same.
    spine = [joint for joint in shared if plain[joint][1] not in (*_SYNONYMS["neck"], *_SYNONYMS["head"])]
    trunk: dict[str, int] = {}
    if spine:
        trunk["spine1"], trunk["spine3"] = spine[0], spine[-1]
        if len(spine) > 2:
            trunk["spine2"] = spine[len(spine) // 2]
        if len(spine) == 1:
            del trunk["spine3"]
    above = spine[-1] if spine else pelvis
    heads = [joint for joint, (side, core) in enumerate(plain) if not side and core in _SYNONYMS["head"]]
    heads = [joint for joint in heads if _is_below(joint, above, parents)]
    necks = [joint for joint, (side, core) in enumerate(plain) if not side and core in _SYNONYMS["neck"]]
    necks = [joint for joint in necks if _is_below(joint, above, parents)]
    if heads:
        trunk["head"] = heads[0]
    if necks:
        trunk["neck"] = necks[0]
    return trunk


def _demand(found: Mapping[str, int], names: Sequence[str], what: str) -> None:
    missing = [joint for joint in REQUIRED if joint not in found]
    if missing:
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise InputError(
            f"{what}: no {', '.join(missing)} (its joints: {shown}).\n"
            "Give a YAML file with lines like 'left_knee: LeftLeg' as dataset.joint_map=<file>"
        )
