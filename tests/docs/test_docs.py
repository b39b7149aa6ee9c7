"""The pages under docs/ name what exists."""

import re
from pathlib import Path

import pytest
import yaml

from callbacks.run_card import start_run_card

PROJECT = Path(__file__).resolve().parents[2]
PAGES = sorted((PROJECT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    for target in targets:
        if not target.startswith("http"):
            assert (page.parent / target).exists() or (page.parent / f"{target}.md").exists(), target


def test_every_callback_is_in_the_table() -> None:
    text = (PROJECT / "docs" / "configuration.md").read_text()
    names = yaml.safe_load((PROJECT / "conf" / "callbacks" / "default.yaml").read_text())
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_field_of_a_run_card_is_in_the_table(tmp_path: Path) -> None:
    text = (PROJECT / "docs" / "outputs.md").read_text()
    written = set(start_run_card(tmp_path, experiment="x", command="x", overrides=[], seed=0, monitor={}))
    source = (PROJECT / "callbacks" / "run_report.py").read_text()
    written |= set(re.findall(r'^ +"(\w+)": ', source, flags=re.MULTILINE))
    assert sorted(name for name in written if f"`{name}`" not in text) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_choices_exist(page: Path) -> None:
    """`group=choice` in the examples, for groups that have files."""
    for group, choice in re.findall(
        r"\b(experiment|dataset|source|sweep|debug|logger|callbacks|trainer)=(\w+)", page.read_text()
    ):
        assert (PROJECT / "conf" / group / f"{choice}.yaml").is_file(), f"{group}={choice}"
