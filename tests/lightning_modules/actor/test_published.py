from lightning_modules.actor.protocol import METRICS
from lightning_modules.actor.published import PUBLISHED, data_set_of
from lightning_modules.actor.upstream import ACTION_NAMES


def test_data_sets_are_known_by_their_classes() -> None:
    for data_set, names in ACTION_NAMES.items():
        assert data_set_of(names) == data_set
        assert data_set_of([name.replace("_", " ").title() for name in names]) == data_set
        assert data_set_of([*names[1:], names[0]]) is None
    others = [f"action-{label}" for label in range(36)]
    assert data_set_of(["rope-skipping", "wrist-circling", "squatting", "jumping-jack", *others]) == "uestc"
    assert data_set_of(["rope-skipping", *others]) is None


def test_published_figures_are_shares_and_distances() -> None:
    for rows in PUBLISHED.values():
        assert {"real", "ACTOR"} <= {row.method for row in rows}
        for row in rows:
            assert {name.removesuffix("_train").removesuffix("_test") for name in row.figures} <= set(METRICS)
            assert 0.9 < row.figures["accuracy"].mean <= 1
            assert all(figure.mean > 0 for figure in row.figures.values())
