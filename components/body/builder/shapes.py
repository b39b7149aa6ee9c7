"""The ten shape components: named directions of MakeHuman's shape space around the mean adult."""

from dataclasses import dataclass

from components.body.builder.makehuman import Phenotype

LARGEST_BETA = 2.0  # coefficients of [-2, 2] give plausible people


@dataclass(frozen=True)
class ShapeComponent:
    """A direction: the phenotypes at coefficient -2 and +2."""

    name: str
    least: Phenotype
    most: Phenotype


def _between(name: str, **ends: tuple[float, float]) -> ShapeComponent:
    return ShapeComponent(
        name,
        Phenotype(**{key: end[0] for key, end in ends.items()}),  # type: ignore[arg-type]
        Phenotype(**{key: end[1] for key, end in ends.items()}),  # type: ignore[arg-type]
    )


def _detail(name: str, **amounts: float) -> ShapeComponent:
    details = {target.replace("__", "/").replace("_", "-"): amount for target, amount in amounts.items()}
    return ShapeComponent(
        name, Phenotype(details={target: -amount for target, amount in details.items()}), Phenotype(details=details)
    )


MEAN_ADULT = Phenotype()

# The ends are apart enough to be seen; beyond 1 MakeHuman's own scale is continued in a straight line.
# Order as in SMPL as far as it goes: size first, then weight.
SHAPE_COMPONENTS: tuple[ShapeComponent, ...] = (
    _between("height", height=(-0.35, 0.35)),
    _between("weight", weight=(-2.2, 2.2)),
    _between("gender", male=(0.0, 1.0), cup=(0.2, -0.8)),
    _between("muscle", muscle=(-1.8, 1.8)),
    _between("age", old=(-0.3, 0.9)),
    _between("proportions", proportions=(-0.5, 1.0)),
    _detail("shoulders", torso__torso_vshape=0.8, torso__measure_shoulder_dist=0.4),
    _detail("hips", hip__hip_scale_horiz=0.8, buttocks__buttocks_volume=0.6),
    _detail("belly", stomach__stomach_pregnant=0.6, stomach__stomach_tone=-0.5),
    _detail("legs", legs__upperlegs_height=0.8, legs__lowerlegs_height=0.8),
)
