"""The pages under docs/ name what exists."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir

from callbacks.run_card import start_run_card

PROJECT = Path(__file__).resolve().parents[2]
CONF = PROJECT / "conf"
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
CODE = [
    file
    for folder in ("lightning_modules", "datamodules", "components", "callbacks", "entrypoints", "benchmarks")
    for file in sorted((PROJECT / folder).rglob("*.*"))
]

per_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def read_yaml(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text()) or {}


def everything() -> str:
    return "\n".join(page.read_text() for page in PAGES)


@per_page
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    for target in targets:
        if not target.startswith("http"):
            assert (page.parent / target).exists() or (page.parent / f"{target}.md").exists(), target


def test_every_callback_is_in_the_table() -> None:
    text = (PROJECT / "docs" / "configuration.md").read_text()
    files = [CONF / "standard" / "callbacks.yaml", *sorted((CONF / "callbacks").glob("*.yaml"))]
    names = [name for file in files for name in read_yaml(file)]
    assert len(names) > 10
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_field_of_a_run_card_is_in_the_table(tmp_path: Path) -> None:
    text = (PROJECT / "docs" / "outputs.md").read_text()
    written = set(start_run_card(tmp_path, experiment="x", command="x", overrides=[], seed=0, monitor={}))
    for name in ("run_report", "memory_estimate"):
        source = (PROJECT / "callbacks" / f"{name}.py").read_text()
        written |= set(re.findall(r'(?:^ +|\{)"(\w+)": ', source, flags=re.MULTILINE))
    assert sorted(name for name in written - {"free"} if f"`{name}`" not in text) == []


@per_page
def test_named_choices_exist(page: Path) -> None:
    """`group=choice` and `group=[choice,...]`, for groups that have files."""
    groups = "experiment|dataset|source|sweep|debug|logger|callbacks|trainer|mix|model|task"
    found = re.findall(rf"(?<![\w.])({groups})=(\[[\w,]+\]|\w+)", page.read_text())
    for group, choices in found:
        for choice in choices.strip("[]").split(","):
            assert (CONF / group / f"{choice}.yaml").is_file(), f"{group}={choice}"


@pytest.mark.parametrize("group", ["experiment", "model", "mix", "sweep", "task", "callbacks", "dataset", "source"])
def test_every_choice_is_named(group: str) -> None:
    text = everything()
    names = [file.stem for file in (CONF / group).glob("*.yaml") if file.stem != "default"]
    # As a name of its own, or as the choice of its group.
    missing = [name for name in names if not re.search(rf"(?:`|{group}=|[\[,]){name}(?:`|\b(?!_))", text)]
    assert missing == []


@per_page
def test_named_files_exist_and_hold_what_is_named(page: Path) -> None:
    """`path/to/file.py: Symbol`; a path may leave out its first folders, as in a list of neighbours."""
    text = page.read_text()
    for name in re.findall(r"`((?:[\w.]+/)*\w+\.(?:py|js)|(?:conf|datamodules)/[\w./]+)`", text):
        # Yours, and not in git.
        assert files_called(name) or name.startswith("conf/local/"), name
    for name, symbols in re.findall(r"`([\w/]+\.py)`: ((?:`\w+`(?:, )?)+)", text):
        for symbol in re.findall(r"\w+", symbols):
            pattern = re.compile(rf"^(?:class|def) {symbol}\b", re.MULTILINE)
            assert any(pattern.search(file.read_text()) for file in files_called(name)), f"{name}: {symbol}"


def files_called(name: str) -> list[Path]:
    if (PROJECT / name).exists():
        return [PROJECT / name]
    return [file for file in CODE if f"/{file.relative_to(PROJECT).as_posix()}".endswith(f"/{name}")]


def keys_below(tree: Any, path: str) -> Iterator[str]:
    yield path
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from keys_below(value, f"{path}.{key}")


@per_page
def test_named_keys_of_data_and_model_exist(page: Path) -> None:
    known: set[str] = set()
    for group in ("data", "model"):
        for file in (CONF / group).glob("*.yaml"):
            known |= set(keys_below(read_yaml(file), group))
    for file in [*(CONF / "mix").glob("*.yaml"), *(CONF / "experiment").glob("*.yaml")]:
        content = read_yaml(file)
        if file.name == "mixtures.yaml":  # whose package is data.mix
            content = {"data": {"mix": content}}
        for group in ("data", "model"):
            known |= set(keys_below(content.get(group), group))
    # Parts that choices share, and where they stand.
    parts = (
        ("blend", "data.mix"),
        ("recognizer", "model"),
        ("skeletonclip", "model"),
        ("synthetic_humanact12", "data"),
        ("walk", "model"),
    )
    for part, path in parts:
        known |= set(keys_below(read_yaml(CONF / "standard" / f"{part}.yaml"), path))
    named = set(re.findall(r"(?<![\w./-])((?:data|model)(?:\.[a-z_]\w*)+)(?![\w(/])", page.read_text()))
    # The example of a mistake.
    assert sorted(name for name in named if name not in known | {"model.net.latent_dims"}) == []


@per_page
def test_commands_have_the_keys_that_are_given_to_them(page: Path) -> None:
    text = page.read_text().replace("\\\n", " ")
    for line in re.findall(r"^python -m entrypoints\.(\w+ .*)$", text, flags=re.MULTILINE):
        entry, *rest = shlex.split(line, comments=True)
        if entry not in ("evaluate", "predict", "prepare", "convert", "collect"):
            continue
        known = {path for key, value in read_yaml(CONF / f"{entry}.yaml").items() for path in keys_below(value, key)}
        if entry == "evaluate":  # the run chooses among them
            known |= {key for file in (CONF / "protocol").glob("*.yaml") for key in read_yaml(file)}
        given = [text.split("=", 1) for text in rest if "=" in text]
        for group in ("task", "dataset", "source"):
            for choice in [value for key, value in given if key == group and (CONF / group / f"{value}.yaml").exists()]:
                content = read_yaml(CONF / group / f"{choice}.yaml")
                own = {path for key, value in content.items() for path in keys_below(value, key)}
                # A choice's keys in full; those of data sets and tasks in short too.
                known |= {group, *(f"{group}.{key}" for key in own), *(own if group != "source" else ())}
                known |= {"source"} if "input" in own else set()  # as it is called on the command line
        assert [key for key, _ in given if key not in known] == [], line


@per_page
def test_trainings_compose(page: Path) -> None:
    text = page.read_text().replace("\\\n", " ")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        for line in re.findall(r"^python -m entrypoints\.train (.*)$", text, flags=re.MULTILINE):
            overrides = shlex.split(re.sub(r"<[^>]*>", "x", line), comments=True)
            if "-m" not in overrides:  # a sweep on the command line is no config
                compose("train", overrides=overrides)
