"""Two actions at once in evaluation: what recognisers see in generated pairs, and whose legs and arms they have."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.errors import InputError
from entrypoints.run_data import action_names, single_actions
from entrypoints.tasks.evaluation_report import Report
from entrypoints.tasks.tables import Table, Value, finite_mean

if TYPE_CHECKING:
    from torch import Tensor

    from entrypoints.runs import LoadedRun
    from entrypoints.tasks.evaluate_recognition import Recognizing
    from lightning_modules.actor.generation import ActionPair
    from lightning_modules.actor.pair_evaluation import Observer, PairFigures, Seen

log = logging.getLogger(__name__)

# Share of the first motion in the real mixtures, as in generated pairs.
_SHARE = 0.5


@dataclass(frozen=True)
class Pair:
    """One pair: its name, its labels as single actions, and what the generator is asked for."""

    name: str
    first: int
    second: int
    request: "ActionPair"


@dataclass(frozen=True)
class PairResult:
    """Figures of one pair: generated, real clips blended (what can be hoped for), each action alone (the control)."""

    pair: Pair
    generated: "PairFigures"
    mixtures: "PairFigures"
    alone: "PairFigures"


@dataclass(frozen=True)
class PairPlan:
    """Pairs to look at, and with what: a recogniser of pairs (or None) and its label of each pair that it knows."""

    pairs: Sequence[Pair]
    recognizer: Any
    labels: dict[str, int]


def plan_pairs(
    run: "LoadedRun", net: Any, datamodule: Any, recognizer: "Recognizing | None", options: Mapping[str, Any]
) -> PairPlan | None:
    """What `evaluate_pairs` will do; None for a model of single actions.

    Args:
        run: the generator's run.
        net: its network.
        datamodule: set up, of the generator's run.
        recognizer: of the single actions, see `prepare_recognizer`; None = pairs are checked, not recognised.
        options: `pairs` (names, or None), `max_pairs`, `pair_recognizer` (a run or None).

    Raises:
        InputError: unknown pairs, an unfit recogniser, or one for a model that knows no pairs.
    """
    pairs = wanted_pairs(net, datamodule, options)
    if not pairs:
        if options["pair_recognizer"] is not None:
            raise InputError(
                f"pair_recognizer={options['pair_recognizer']}: run={run.checkpoint_path} was trained on single "
                "actions.\nLeave it out, or evaluate a run of experiment=actor_mix"
            )
        return None
    if recognizer is None:
        return PairPlan(pairs, None, {})
    if any("+" in name for name in action_names(recognizer.run)):
        log.warning(
            "recognizer=%s has pairs as classes of their own, and puts them above the single actions: its two highest "
            "single actions say little. Use one of experiment=actor_recognizer_gru_mix, and this as pair_recognizer",
            recognizer.run.run_dir,
        )
    return PairPlan(pairs, *_pair_recognizer(options["pair_recognizer"], recognizer, datamodule, run, pairs))


def evaluate_pairs(
    module: Any,
    datamodule: Any,
    recognizer: "Recognizing",
    plan: PairPlan,
    options: Mapping[str, Any],
    device: Any,
    report: Report,
) -> None:
    """Add figures, tables and a picture of pairs to the report.

    Args:
        module: the generator's module, in evaluation mode on `device`.
        datamodule: set up, of the generator's run.
        recognizer: of the single actions.
        plan: of `plan_pairs`.
        options: `pair_samples` (motions of each pair), `seed`.
        device: of the module.
        report: is added to.

    Raises:
        InputError: the data have no motion of an action.
    """
    from components.body.loader import load_body
    from lightning_modules.actor.pair_evaluation import Observer

    names = list(datamodule.action_names)
    observer = Observer(
        recognizer.module.to(device).eval(), len(single_actions(names)),
        None if plan.recognizer is None else plan.recognizer.to(device).eval(),
        datamodule.pose_format, load_body().to(device),
    )  # fmt: skip
    results = _results(module.net, datamodule, observer, plan.pairs, plan.labels, options, names, device)
    _add_metrics(report, results)
    report.tables["pair_recognition"] = pair_table(results)

    def draw() -> Any:
        from entrypoints.tasks.pair_figures import draw_pairs

        return draw_pairs(results)

    report.figures["pair_recognition"] = draw


def wanted_pairs(net: Any, datamodule: Any, options: Mapping[str, Any]) -> list[Pair]:
    """The pairs to look at: those asked for, else those that are classes, else leg actions with arm actions.

    Raises:
        InputError: unknown actions, or what was asked for is no pair.
    """
    from lightning_modules.actor.generation import ActionPair, parse_actions

    names = list(datamodule.action_names)
    classes = {
        len(names) - len(datamodule.pairs) + number: pair for number, pair in enumerate(datamodule.pairs)
    }  # label of a pair's class -> labels of its actions
    conditioning = net.sizes.conditioning
    if options["pairs"] is not None:
        try:
            requests = parse_actions(options["pairs"], names, conditioning)
        except InputError as error:
            raise InputError(str(error).replace("actions", "pairs", 1)) from error
    elif classes:
        requests = [ActionPair(label, label) for label in classes]
    elif conditioning == "pair":
        requests = [ActionPair(*pair) for pair in _trained_pairs(datamodule, options["max_pairs"])]
    else:
        return []
    pairs = []
    for request in dict.fromkeys(requests):
        first, second = classes.get(request.first, request) if request.first == request.second else request
        if first == second:
            raise InputError(f"pairs: '{names[first]}' is one action; expected two, e.g. {names[0]}+{names[1]}")
        pairs.append(Pair(f"{names[first]}+{names[second]}", first, second, request))
    return pairs if options["pairs"] is not None else pairs[: options["max_pairs"]]


def _trained_pairs(datamodule: Any, limit: int) -> list[tuple[int, int]]:
    """Leg actions with arm actions, of those that training mixes; where it mixes none of them, what it mixes."""
    from datamodules.actor.compositional import leg_arm_pairs

    settings = getattr(datamodule.mix, "keywords", {})
    motion = datamodule.leg_motion
    allowed = None if datamodule.mixer is None else datamodule.mixer.allowed
    everything = leg_arm_pairs(motion, range(len(motion)), settings.get("leg_classes"))
    if allowed is None or all(bool(allowed[pair]) for pair in everything):
        return leg_arm_pairs(motion, range(len(motion)), settings.get("leg_classes"), limit)
    return [pair for pair in everything if bool(allowed[pair])] or [tuple(pair) for pair in allowed.nonzero().tolist()]


def _pair_recognizer(
    path: str | None, recognizer: "Recognizing", datamodule: Any, run: "LoadedRun", pairs: Sequence[Pair]
) -> "tuple[Any, dict[str, int]]":
    """A recogniser that knows pairs, and its label of each pair that it knows."""
    from entrypoints.tasks.evaluate_recognition import prepare_recognizer

    judge = recognizer if path is None else prepare_recognizer(path, run, datamodule, "pair_recognizer")
    known_run, module = judge.run, judge.module
    known = action_names(known_run)
    labels = {pair.name: known.index(pair.name) for pair in pairs if pair.name in known}
    if path is not None and not labels:
        has = ", ".join(name for name in known if "+" in name) or "single actions alone"
        raise InputError(
            f"pair_recognizer={path} knows {has};\nnone of {', '.join(pair.name for pair in pairs[:4])}, ... "
            "Train one on these pairs: python -m entrypoints.train experiment=actor_recognizer_gru_pairs "
            "data.mix.pairs=[[...], ...]"
        )
    return (module, labels) if labels else (None, {})


def _results(
    net: Any,
    datamodule: Any,
    observer: "Observer",
    pairs: Sequence[Pair],
    pair_labels: dict[str, int],
    options: Mapping[str, Any],
    names: list[str],
    device: Any,
) -> list[PairResult]:
    from lightning_modules.actor.generation import ActionPair
    from lightning_modules.actor.pair_evaluation import PARTS, Likeness, generated_motions, merge, pair_figures

    seed, samples = options["seed"], options["pair_samples"]
    frames = net.sizes.usual_frames

    def generated(request: ActionPair, name: str) -> "Seen":
        return observer.look(*generated_motions(net, request, name, frames, samples, names, seed))

    involved = sorted({label for pair in pairs for label in (pair.first, pair.second)})
    real = {label: observer.look(*_real(datamodule, label, device)) for label in involved}
    likeness = {part: Likeness.of({label: each.parts[part] for label, each in real.items()}) for part in PARTS}
    alone = {label: generated(ActionPair(label, label), names[label]) for label in involved}
    results = []
    for pair in pairs:
        label = pair_labels.get(pair.name)
        sets = (
            generated(pair.request, pair.name),
            observer.look(*_mixtures(datamodule, pair, samples, seed, device)),
            merge([alone[pair.first], alone[pair.second]]),
        )
        figures = (pair_figures(seen, pair.first, pair.second, label, likeness) for seen in sets)
        results.append(PairResult(pair, *figures))
    return results


def _members(clips: Any, label: int) -> list[int]:
    return [place for place, own in enumerate(clips.labels.tolist()) if own == label]


def _real(datamodule: Any, label: int, device: Any) -> "tuple[Tensor, Tensor]":
    """Real training motions of an action, up to 64, and their mask."""
    from datamodules.actor.collate import collate_motions

    clips = datamodule.train_set.originals
    members = _members(clips, label)
    if not members:
        raise InputError(f"pairs: the data have no motion of '{datamodule.action_names[label]}'")
    batch = collate_motions([clips[place] for place in members[:64]])
    return batch["motion"].to(device), batch["mask"].to(device)


def _mixtures(datamodule: Any, pair: Pair, count: int, seed: int, device: Any) -> "tuple[Tensor, Tensor]":
    """Blends of real clips of both actions, held-out ones where there are such, and their mask."""
    import torch

    from datamodules.actor.collate import collate_motions
    from datamodules.actor.mixing import MixingCollate
    from lightning_modules.actor.protocol import stream_seed

    mixer = datamodule.mixer or MixingCollate(
        single_actions(datamodule.action_names), datamodule.pose_format, datamodule.leg_motion
    )
    clips = datamodule.test_set.originals
    chance = torch.Generator().manual_seed(stream_seed(seed, "mixtures", pair.name))
    rows = []
    for label in (pair.first, pair.second):
        # A class with a single clip trains and is never held out.
        source = clips if _members(clips, label) else datamodule.train_set.originals
        members = _members(source, label)
        # As evenly as can be: every clip once before any comes again.
        rounds = -(-count // len(members))
        order = torch.cat([torch.randperm(len(members), generator=chance) for _ in range(rounds)])[:count].tolist()
        rows += [source[members[place]] for place in order]
    first, second = torch.arange(count), torch.arange(count, 2 * count)
    made = mixer.mix(collate_motions(rows), first, second, torch.full((count,), _SHARE))
    return made["motion"].to(device), made["mask"].to(device)


def _add_metrics(report: Report, results: Sequence[PairResult]) -> None:
    """`eval/pairs/<figure>` over all pairs, with the endings _mixtures and _single, and `eval/pairs/top2/<pair>`."""
    figures = {"top2": "both", "first_in_top2": "first", "second_in_top2": "second", "accuracy": "named"}
    for ending, which in (("", "generated"), ("_mixtures", "mixtures"), ("_single", "alone")):
        for title, name in figures.items():
            _add(report, f"{title}{ending}", [getattr(getattr(each, which), name) for each in results])
        if which != "alone":
            for part in results[0].generated.likeness:
                shares = [getattr(each, which).likeness[part] for each in results]
                _add(report, f"{part}_like_first{ending}", shares)
    for each in results:
        report.metrics[f"eval/pairs/top2/{each.pair.name}"] = each.generated.both
        if math.isfinite(each.generated.named):
            report.metrics[f"eval/pairs/accuracy/{each.pair.name}"] = each.generated.named


def _add(report: Report, name: str, values: Sequence[float]) -> None:
    mean = finite_mean(values)
    if math.isfinite(mean):
        report.metrics[f"eval/pairs/{name}"] = mean


def pair_table(results: Sequence[PairResult]) -> Table:
    """One row per pair, means last; g generated, m real clips blended, s single actions generated."""
    named = any(math.isfinite(each.generated.named) for each in results)
    columns = ["both g", "both m", "both s", "first g", "first m", "second g", "second m"]
    columns += ["named g", "named m"] if named else []
    columns += ["legs g", "legs m", "arms g", "arms m"]
    rows: list[list[Value]] = []
    for each in results:
        made, blend, alone = each.generated, each.mixtures, each.alone
        row: list[Value] = [made.both, blend.both, alone.both, made.first, blend.first, made.second, blend.second]
        row += [made.named, blend.named] if named else []
        row += [figures.likeness[part] for part in ("legs", "arms") for figures in (made, blend)]
        rows.append([each.pair.name, made.motions, *row])
    means = [finite_mean([float(row[place]) for row in rows]) for place in range(2, len(columns) + 2)]
    rows.append(["all", sum(each.generated.motions for each in results), *means])
    title = (
        "Two actions at once: share with both, the first, the second label among the recogniser's two highest"
        + (", share named as this pair by the recogniser of pairs" if named else "")
        + "; legs and arms: 1 as the first action alone, 0 as the second. "
        "g generated, m real clips blended, s generated single actions"
    )
    return Table(title, ["pair", "motions", *columns], rows)
