"""Every golden case of skeletonclip against numbers of the published code.

Each `skeletonclip_<part>.py` beside this file holds the `HANDLERS` of its part. Configuration, weights and tolerances
come from the cases; `TROUPE_GOLDEN` selects another folder of the same cases.
"""

import importlib
from pathlib import Path

import pytest

from tests.golden.harness import case_names, load_case

PARTS = [
    importlib.import_module(f"tests.golden.{file.stem}")
    for file in sorted(Path(__file__).parent.glob("skeletonclip_*.py"))
]
HANDLERS = {name: handler for part in PARTS for name, handler in part.HANDLERS.items()}
# Cases that must exist; where the folder is absent they are skipped by name rather than vanish.
CASES = sorted(set(case_names("skeletonclip")) | set(HANDLERS))


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    case = load_case("skeletonclip", name)
    if name not in HANDLERS:
        pytest.skip(f"not covered yet: {name} ({case.meta.get('what', case.meta.get('description'))})")
    HANDLERS[name](case)


def test_handlers_do_not_overlap() -> None:
    assert len(HANDLERS) == sum(len(part.HANDLERS) for part in PARTS)
