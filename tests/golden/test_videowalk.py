"""Every golden case of videowalk: our walk, propagation and metrics against numbers of the published code.

Configuration, weights and tolerances come from the cases; `TROUPE_GOLDEN` selects another folder of the same cases.
"""

import pytest

from tests.golden import videowalk_clips, videowalk_metrics, videowalk_patches, videowalk_propagation, videowalk_walks
from tests.golden.harness import case_names, load_case

PARTS = (videowalk_clips, videowalk_metrics, videowalk_patches, videowalk_propagation, videowalk_walks)
HANDLERS = {name: handler for part in PARTS for name, handler in part.HANDLERS.items()}
# Cases that must exist; where the folder is absent they are skipped by name rather than vanish.
CASES = sorted(set(case_names("videowalk")) | set(HANDLERS))


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    case = load_case("videowalk", name)
    if name not in HANDLERS:
        pytest.skip(f"not covered yet: {name} ({case.meta.get('what', case.meta.get('description'))})")
    HANDLERS[name](case)


def test_handlers_do_not_overlap() -> None:
    assert len(HANDLERS) == sum(len(part.HANDLERS) for part in PARTS)
