"""task=gallery: real, reconstructed and generated motions side by side, decoder tests, the latent space."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from components.errors import InputError
from components.files.atomic import write_json, write_text
from entrypoints.config_check import Fault
from entrypoints.tasks.gallery_page import Section, Show, gallery_page
from entrypoints.tasks.gallery_tables import TESTS
from entrypoints.tasks.options import choose_device, raise_faults, result_folder, stamped_folder, wanted_actions
from entrypoints.tasks.progress import progress

if TYPE_CHECKING:
    from entrypoints.runs import LoadedRun

log = logging.getLogger(__name__)

_FORMATS = ("mp4", "gif", "strip")
_DATA_KEYS = ("root", "batch_size", "num_workers", "cache_dir")


@dataclass(frozen=True)
class Options:
    """Keys of `conf/task/gallery.yaml`, which explains them.

    Raises:
        ConfigError: values out of range, all of them together.
    """

    actions: list[str] | str | None = None
    clips: int = 1
    samples: int = 4
    seed: int = 0
    tests: list[Literal["diffaction", "diffduration", "interpolate_latent", "interpolate_action", "pairs"]] | str | None = None  # noqa: E501  # fmt: skip
    test_actions: list[str] | str | None = None
    durations: list[int] = field(default_factory=lambda: [40, 60, 80, 100])
    steps: int = 6
    latents: int = 2
    latent_space: bool = True
    train_clips: int = 1000
    style: Literal["body", "stick"] = "body"
    body: str | None = None
    size: int = 128
    view: Literal["front", "side", "three_quarter", "back"] = "three_quarter"
    fps: float | None = None
    formats: list[Literal["mp4", "gif", "strip"]] | str = ("mp4", "gif", "strip")  # type: ignore[assignment]
    data: dict[str, Any] = field(default_factory=dict)
    device: str = "auto"
    output: str | None = None
    force: bool = False

    def __post_init__(self) -> None:
        rules = {
            "actions": (self.actions != [], "asks for nothing; name some, or leave the key out for all"),
            "test_actions": (self.test_actions != [], "asks for nothing; name some, or leave the key out"),
            "clips": (1 <= self.clips <= 20, "must lie in 1..20"),
            "samples": (1 <= self.samples <= 20, "must lie in 1..20"),
            "seed": (0 <= self.seed < 2**40, "must be a whole number from 0 on"),
            "tests": (set(self.test_list) <= set(TESTS), f"expected some of {', '.join(TESTS)}"),
            "durations": (
                bool(self.durations) and all(1 <= frames <= 2000 for frames in self.durations),
                "expected lengths of 1 to 2000 frames",
            ),
            "steps": (2 <= self.steps <= 20, "must lie in 2..20"),
            "latents": (1 <= self.latents <= 10, "must lie in 1..10"),
            "train_clips": (self.train_clips >= 0, "must be at least 0"),
            "size": (32 <= self.size <= 1024, "must lie in 32..1024 pixels"),
            "fps": (self.fps is None or 0 < self.fps <= 1000, "must lie above 0 and be at most 1000"),
            "formats": (
                bool(self.format_list) and set(self.format_list) <= set(_FORMATS),
                f"expected some of {', '.join(_FORMATS)}",
            ),
            "data": (set(self.data) <= set(_DATA_KEYS), f"expected some of {', '.join(_DATA_KEYS)}"),
        }
        faults = [Fault(f"{key}={getattr(self, key)}", rule) for key, (fine, rule) in rules.items() if not fine]
        raise_faults(faults, "task=gallery")

    @property
    def format_list(self) -> list[str]:
        """Formats as a list."""
        return [self.formats] if isinstance(self.formats, str) else list(self.formats)

    @property
    def test_list(self) -> list[str]:
        """Tests as a list."""
        return [self.tests] if isinstance(self.tests, str) else list(self.tests or [])

    @property
    def test_action_list(self) -> list[str]:
        """Actions of the tests as a list."""
        return [self.test_actions] if isinstance(self.test_actions, str) else list(self.test_actions or [])


def perform(run: "LoadedRun", options: Options) -> Path:
    """Make the gallery.

    Returns:
        The folder with the results.

    Raises:
        InputError: no model of motions, missing data, data of other actions, unknown actions, tests that this model
            cannot do, a bad body file, an unwritable folder.
    """
    from entrypoints.run_data import action_names, check_actions, with_data
    from entrypoints.runs import build_datamodule, load_module
    from lightning_modules.actor.generation import parse_actions

    config = with_data(run, options.data)
    if "net" not in run.config["model"] or "encoder" not in run.config["model"]["net"]:
        raise InputError(
            f"{run.checkpoint_path} is no model that generates motions.\n"
            "Give a run of experiment=actor or experiment=actor_mix"
        )
    names = action_names(run)
    wanted = wanted_actions(options.actions, names)
    pairs = list(dict.fromkeys(parse_actions(wanted, names, run.config["model"]["net"]["conditioning"])))
    target = Path(options.output).expanduser() if options.output else stamped_folder(run.run_dir / "gallery")
    with result_folder(target, options.force) as folder:
        device = choose_device(options.device)
        datamodule = build_datamodule(config)
        datamodule.prepare_data()
        datamodule.setup("test")
        check_actions(run, datamodule, names)
        if "imported_from" in run.facts and len(datamodule.action_names) == len(names):
            names = list(datamodule.action_names)
        net = load_module(run).net.to(device)
        sections = _draw(folder, net, datamodule, pairs, names, options, device)
        if options.latent_space:
            sections.append(_latent_space(folder, net, datamodule, names, options))
        write_json(folder / "settings.json", {"run": str(run.checkpoint_path), **asdict(options)})
        title = f"{run.experiment}: what the model has learned"
        notes = [f"checkpoint {run.checkpoint_path}", f"data {datamodule.root}", f"seed {options.seed}"]
        write_text(folder / "index.html", gallery_page(title, notes, sections))
    log.info("open %s", target / "index.html")
    return target


def _draw(
    folder: Path, net: Any, datamodule: Any, pairs: Sequence[Any], names: list[str], options: Options, device: Any
) -> list[Section]:
    """All tables as films and pictures."""
    from components.body.loader import load_body
    from components.rendering.motion_tables import draw_table, join_rows, write_table
    from entrypoints.tasks.gallery_tables import action_tables, test_tables

    fps = options.fps or float(datamodule.fps)
    kinds: Any = options.format_list
    body = load_body(options.body).to(device)
    actions = list(action_tables(net, datamodule, pairs, names, options, fps))
    tests = list(test_tables(net, datamodule, pairs, names, options, fps))
    shows: dict[str, list[Show]] = {"overview": [], "actions": [], "tests": []}

    def write(part: str, name: str, caption: str, table: Any) -> None:
        files = write_table(folder / part if part != "overview" else folder, name, table, fps, kinds)
        shows[part].append(Show(caption, [str(file.relative_to(folder)) for file in files]))

    with progress("rendering", sum(table.frames for table in [*actions, *tests])) as advance:
        first_rows = []
        for table in actions:
            drawn = draw_table(table, body, options.style, options.size, options.view, advance)
            write("actions", table.name, table.question, drawn)
            first_rows.append(drawn)
        rows = [table.rows[0] if len(table.rows) == 1 else table.rows[0].rpartition(" ")[0] for table in actions]
        write("overview", "overview", "every action", join_rows(first_rows, rows))
        for table in tests:
            drawn = draw_table(table, body, options.style, options.size, options.view, advance)
            write("tests", table.name, f"{table.name}: {table.question}", drawn)
    log.info("%d actions, %d decoder tests", len(actions), len(tests))
    real = "A real motion, its reconstruction from the mean of its latent, and behind the bar generated motions."
    return [
        Section("Overview", f"{real} A motion that is over stands darkened.", shows["overview"]),
        Section("Decoder tests", "The same network asked with one thing changed at a time.", shows["tests"]),
        Section("Actions", real, shows["actions"]),
    ]


def _latent_space(folder: Path, net: Any, datamodule: Any, names: list[str], options: Options) -> Section:
    """Pictures and tables of the latent space."""
    from callbacks.figures import save_figure
    from components.projections.principal_axes import principal_axes
    from entrypoints.tasks.latent_figures import clip_rows, dimension_rows, draw_latent_space
    from lightning_modules.actor.latent_space import encode_clips

    parts = {"evaluation": encode_clips(net, _batches(datamodule.test_set, len(datamodule.test_set), options.seed))}
    # Without a split of their own the evaluation clips are the training clips.
    if datamodule.splits.held_out and options.train_clips:
        parts["training"] = encode_clips(net, _batches(datamodule.train_set, options.train_clips, options.seed))
    axes = principal_axes(parts.get("training", parts["evaluation"]).mu)
    save_figure(folder / "latent" / "latent_space.png", draw_latent_space(parts, axes, names, net.samples))
    write_text(folder / "latent" / "clips.csv", clip_rows(parts, axes, names).to_csv())
    write_text(folder / "latent" / "dimensions.csv", dimension_rows(parts["evaluation"], net.samples).to_csv())
    plane = (
        "the clips in the plane of most variance, with two standard deviations of each action. The encoder knows the "
        "label, so actions need not lie apart."
    )
    right = " Right: what each dimension tells of a clip; those near 0 are not used."
    return Section(
        "Latent space",
        f"Left: posterior means of {plane}{right}" if net.samples else f"Latents of {plane}",
        [Show("latent space", ["latent/latent_space.png", "latent/clips.csv", "latent/dimensions.csv"])],
    )


def _batches(dataset: Any, most: int, seed: int, size: int = 64) -> Any:
    """Unmixed batches of at most so many clips, drawn by seed."""
    import torch

    from datamodules.actor.collate import collate_motions

    stream = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(dataset), generator=stream)[:most].sort().values
    for part in chosen.split(size):
        yield collate_motions([dataset[index] for index in part.tolist()])
