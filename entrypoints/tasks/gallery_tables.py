"""The tables of the gallery: real, reconstructed and generated motions, and decoder tests."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from components.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from components.body.pose_format import PoseFormat
    from components.rendering.motion_tables import MotionTable, Shown
    from entrypoints.tasks.gallery import Options
    from lightning_modules.actor.decoder_tests import DecoderTest
    from lightning_modules.actor.generation import ActionPair

TESTS = ("diffaction", "diffduration", "interpolate_latent", "interpolate_action", "pairs")
# Without test_actions=... so many leg actions and so many arm actions are looked at.
_TELLING = 3


def action_tables(
    net: Any, datamodule: Any, pairs: "Sequence[ActionPair]", names: Sequence[str], options: "Options", fps: float
) -> "Iterator[MotionTable]":
    """One table per action: rows are clips; columns real, reconstruction, bar, samples of the clip's length.

    Clips are of the evaluation split; an action that has none there shows training clips and says so. A pair of actions
    has no real motion.
    """
    import torch

    from components.rendering.motion_tables import MotionTable
    from lightning_modules.actor.decoder_tests import decode_rows, pair_title
    from lightning_modules.actor.generation import request_alpha, request_generator
    from lightning_modules.actor.sampling import file_name

    columns = ("real", "reconstruction", *(f"sample {number + 1}" for number in range(options.samples)))
    shows = _Shower(datamodule.pose_format, fps)
    for number, pair in enumerate(pairs):
        title = pair_title(pair, names)
        clips, where = _clips_of(datamodule, pair, options.clips, options.seed)
        rows = max(1, len(clips))
        frames = [clip.shape[-1] for clip in clips] or [net.sizes.usual_frames]
        z = torch.randn(rows * options.samples, net.sizes.latent_dim, generator=request_generator(options.seed, pair))
        lengths = torch.tensor(frames).repeat_interleave(options.samples)
        first, second = (torch.full((len(z),), label) for label in pair)
        alpha = request_alpha([pair], names)
        decoded = decode_rows(net, z, lengths, first, second, alpha.expand(len(z)))
        made = [shows(motion, pair, names) for motion in decoded]
        cells: list[list[Shown | None]] = []
        for row in range(rows):
            left: list[Shown | None] = [None, None]
            if clips:
                left = [shows(clips[row], pair, names), shows(_reconstruct(net, clips[row], pair, alpha), pair, names)]
            cells.append([*left, *made[row * options.samples : (row + 1) * options.samples]])
        yield MotionTable(
            file_name("+".join(names[label] for label in dict.fromkeys(pair))),
            title + where,
            [title] if rows == 1 else [f"{title} {row + 1}" for row in range(rows)],
            columns,
            cells,
            bar_after=2,
            outfits=[number] * rows,
        )


def test_tables(
    net: Any, datamodule: Any, pairs: "Sequence[ActionPair]", names: Sequence[str], options: "Options", fps: float
) -> "Iterator[MotionTable]":
    """The decoder tests that were asked for, or all that this network and these actions admit.

    Raises:
        InputError: a test that was asked for by name is not possible.
    """
    from components.rendering.motion_tables import MotionTable
    from lightning_modules.actor.decoder_tests import decode_rows
    from lightning_modules.actor.generation import label_alpha

    shows = _Shower(datamodule.pose_format, fps)
    for test in _tests(net, datamodule, pairs, names, options, fps):
        alpha = label_alpha(test.action, test.second_action, names)
        motions = decode_rows(net, test.z, test.lengths, test.action, test.second_action, alpha)
        shown = [shows(motion, None, names) for motion in motions]
        width = len(test.columns)
        cells = [shown[start : start + width] for start in range(0, len(shown), width)]
        yield MotionTable(test.name, test.question, test.rows, test.columns, cells, outfits=list(range(len(test.rows))))


def _tests(
    net: Any, datamodule: Any, pairs: "Sequence[ActionPair]", names: Sequence[str], options: "Options", fps: float
) -> "Iterator[DecoderTest]":
    from lightning_modules.actor import decoder_tests as ask
    from lightning_modules.actor.generation import ActionPair, parse_actions

    wanted = TESTS if options.tests is None else options.test_list
    width, frames, seed = net.sizes.latent_dim, net.sizes.usual_frames, options.seed
    both = net.sizes.conditioning == "pair"
    if "pairs" in wanted and not both and options.tests is not None:
        raise InputError(
            "tests=pairs: this model was trained on single actions.\nUse a run of experiment=actor_mix for pairs"
        )
    legs, arms = _telling(datamodule, len(names), fps) if wanted else ([], [])
    if options.test_actions is not None:
        few = parse_actions(options.test_action_list, names, net.sizes.conditioning)
    else:  # legs and arms in turn, so that neighbours differ
        few = [ActionPair(label, label) for both_kinds in zip(legs[:2], arms[:2]) for label in both_kinds]
        few = few or list(pairs[:4])
    if "diffaction" in wanted:
        yield ask.different_actions(pairs, names, width, frames, options.latents, seed)
    one_length = getattr(net.decoder, "fixed_frames", None) is not None  # fully connected
    if "diffduration" in wanted and (not one_length or options.tests is not None):
        yield ask.different_durations(few, names, width, options.durations, seed)
    if "interpolate_latent" in wanted:
        yield ask.between_latents(few, names, width, frames, options.steps, seed)
    if "interpolate_action" in wanted and (len(few) > 1 or options.tests is not None):
        yield ask.between_actions(few, names, width, frames, options.steps, seed)
    if "pairs" in wanted and both and legs:
        yield ask.pair_table(legs, arms, names, width, frames, seed)


def _telling(datamodule: Any, classes: int, fps: float) -> tuple[list[int], list[int]]:
    """Classes that move the legs most, and those with calm legs that move the arms most."""
    from components.body.loader import load_body
    from lightning_modules.actor.evaluation import real_statistics, telling_pairs

    pose_format = datamodule.pose_format
    if pose_format.pose_rep == "xyz":  # heights and headings of bare points say little about limbs
        return [], []
    train = datamodule.train_set
    motions = ((train[index]["motion"], train[index]["action"]) for index in _few_of_each(train.labels, 5))
    real = real_statistics(motions, classes, 5, pose_format, load_body(), fps)
    found = telling_pairs(real, min(_TELLING, sum(each is not None for each in real) // 2))
    return list(dict.fromkeys(pair.first for pair in found)), list(dict.fromkeys(pair.second for pair in found))


def _few_of_each(labels: Any, count: int) -> list[int]:
    seen: dict[int, list[int]] = {}
    for index, label in enumerate(labels.tolist()):
        if len(seen.setdefault(label, [])) < count:
            seen[label].append(index)
    return [index for own in seen.values() for index in own]


def _clips_of(datamodule: Any, pair: "ActionPair", count: int, seed: int) -> "tuple[list[Tensor], str]":
    """Real motions `[J, F, T]` of an action, drawn by seed, and a note where they are no evaluation clips."""
    import torch

    if pair.first != pair.second:
        return [], ""
    for dataset, note in ((datamodule.test_set, ""), (datamodule.train_set, " (training clips)")):
        own = (dataset.labels == pair.first).nonzero()[0]
        if len(own):
            stream = torch.Generator().manual_seed(seed * 100003 + pair.first)
            chosen = own[torch.randperm(len(own), generator=stream)[:count].numpy()]
            return [dataset[int(index)]["motion"] for index in chosen], note
    return [], ""


def _reconstruct(net: Any, motion: "Tensor", pair: "ActionPair", alpha: "Tensor") -> "Tensor":
    """A motion from the mean of its own latent."""
    import torch

    from lightning_modules.actor.decoder_tests import decode_rows

    device = next(net.parameters()).device
    labels = torch.tensor([pair.first], device=device)
    mask = torch.ones(1, motion.shape[-1], dtype=torch.bool, device=device)
    with torch.no_grad():
        mu, _ = net.encode(motion[None].to(device), mask, labels, labels, alpha.to(device))
    (made,) = decode_rows(net, mu.float(), torch.tensor([motion.shape[-1]]), labels, labels, alpha)
    return made


class _Shower:
    """Motions `[J, F, T]` in the run's pose format as something that can be drawn."""

    def __init__(self, pose_format: "PoseFormat", fps: float) -> None:
        self.pose_format, self.fps = pose_format, fps

    def __call__(self, motion: "Tensor", pair: "ActionPair | None", names: Sequence[str]) -> "Shown":
        import torch

        from components.body.motion_files import BodyMotion
        from lightning_modules.actor.generation import CAMERA_TO_WORLD, smpl_parameters

        if self.pose_format.pose_rep == "xyz":
            return motion.permute(2, 0, 1) * torch.tensor(CAMERA_TO_WORLD)
        mask = torch.ones(1, motion.shape[-1], dtype=torch.bool)
        poses, trans = smpl_parameters(motion[None], mask, self.pose_format)
        action, second = ("", "") if pair is None else (names[label] for label in pair)
        in_place = not self.pose_format.has_translation_row
        return BodyMotion(poses[0], trans[0], self.fps, action=action, second_action=second, in_place=in_place)
