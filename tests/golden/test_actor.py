"""Every golden case of ACTOR: our modules against numbers of the published code.

Configuration, weights and tolerances come from the cases; `TROUPE_GOLDEN` selects another folder of the same cases.
"""

import pytest

from tests.golden import actor_architectures, actor_data, actor_datasets, actor_metrics, actor_model, actor_recognition
from tests.golden.harness import case_names, load_case

PARTS = (actor_architectures, actor_data, actor_datasets, actor_metrics, actor_model, actor_recognition)
HANDLERS = {name: handler for part in PARTS for name, handler in part.HANDLERS.items()}
# Cases that must exist; where the folder is absent they are skipped by name rather than vanish.
CASES = sorted(set(case_names("actor")) | set(HANDLERS))


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    case = load_case("actor", name)
    if name not in HANDLERS:
        pytest.skip(f"not covered yet: {name} ({case.meta['what']})")
    HANDLERS[name](case)


def test_handlers_do_not_overlap() -> None:
    assert len(HANDLERS) == sum(len(part.HANDLERS) for part in PARTS)
