import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import InputError
from lightning_modules.videowalk.propagation.propagator import LabelPropagator, normalized
from lightning_modules.videowalk.propagation.search import WindowSearch
from lightning_modules.videowalk.propagation.settings import PropagationSettings
from lightning_modules.videowalk.propagation.source_bank import padded_sources, sources_of
from tests.lightning_modules.videowalk.propagation.reference import slow_propagation


def video(frames: int, grid: tuple[int, int], seed: int = 0, channels: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(frames, channels, *grid, generator=generator)
    return features, torch.rand(3, *grid, generator=generator).softmax(0)


def propagated(features: torch.Tensor, labels0: torch.Tensor, options: PropagationSettings) -> torch.Tensor:
    return torch.stack(list(LabelPropagator(options).run(iter(features), labels0)))


@settings(max_examples=12, deadline=None)
@given(
    grid=st.tuples(st.integers(1, 19), st.integers(1, 9)),
    frames=st.integers(1, 6),
    context=st.integers(1, 5),
    topk=st.integers(1, 12),
    radius=st.one_of(st.none(), st.floats(0.01, 9), st.integers(1, 40)),
    memory=st.lists(st.integers(0, 6), max_size=3),
    published=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_equals_the_full_masked_affinity(grid, frames, context, topk, radius, memory, published, seed) -> None:
    options = PropagationSettings(context, topk, radius, 0.07, tuple(memory), published)
    features, labels0 = video(frames, grid, seed)
    expected = slow_propagation(features, labels0, options)
    torch.testing.assert_close(propagated(features, labels0, options), expected, rtol=0, atol=1e-5)


def test_a_frame_that_stands_for_many_takes_their_places() -> None:
    """With three copies of frame 0 and k = 4 the second best cell gets one vote and the third none."""
    options = PropagationSettings(context=3, topk=4, radius=None, temperature=1.0, long_memory=(), normalize=False)
    features = torch.tensor([[[0.0, 1.0, 2.0]], [[1.0, 1.0, 1.0]]])[:, None]
    labels0 = torch.eye(3)[:, None]
    votes = torch.tensor([0.0, 1.0, 3.0]) * torch.tensor([0.0, 1.0, 2.0]).exp()
    result = propagated(features, labels0, options)[1, :, 0, 0]
    torch.testing.assert_close(result, votes / votes.sum())


def test_radius_is_strict_and_only_for_the_context() -> None:
    features = torch.eye(5).T[None, :, None].repeat(2, 1, 1, 1)  # every cell like itself only
    features[1] = features[1].roll(2, dims=-1)  # moved by two cells
    labels0 = torch.eye(5)[:, None]
    near = PropagationSettings(1, 1, 2, long_memory=())
    assert not torch.equal(propagated(features, labels0, near)[1, :, 0, 2:].argmax(0), torch.arange(3))
    for far in (PropagationSettings(1, 1, 2.001, long_memory=()), PropagationSettings(1, 1, 2, long_memory=(0,))):
        assert torch.equal(propagated(features, labels0, far)[1, :, 0, 2:].argmax(0), torch.arange(3))


def test_sources_by_hand() -> None:
    right = PropagationSettings(context=2, long_memory=(0, 2))
    assert padded_sources(1, right) == [0, 0, 1, 2]
    assert [dict(part) for part in sources_of(1, right)] == [{0: 2}, {0: 2}]
    assert [dict(part) for part in sources_of(2, right)] == [{0: 2}, {0: 1, 1: 1}]
    assert [dict(part) for part in sources_of(3, right)] == [{0: 1, 2: 1}, {1: 1, 2: 1}]
    published = PropagationSettings(context=2, long_memory=(0, 2), published_long_memory=True)
    assert dict(sources_of(4, published).remembered) == {0: 2}
    assert dict(sources_of(5, published).remembered) == {0: 1, 3: 1}


def test_features_are_read_one_at_a_time() -> None:
    features, labels0 = video(6, (4, 5))
    asked = []

    def stream():
        for index, each in enumerate(features):
            asked.append(index)
            yield each

    results = LabelPropagator(PropagationSettings(context=2, radius=3)).run(stream(), labels0)
    assert torch.equal(next(results), labels0)
    next(results)
    assert asked == [0, 1]


@pytest.mark.parametrize("storage", ["float16", "bfloat16"])
def test_half_precision_features_give_nearly_the_same(storage) -> None:
    features, labels0 = video(5, (9, 8), channels=32)
    features[1:] = features[:1] + 0.3 * features[1:]  # like a video: cells look like those before
    options = PropagationSettings(context=3, radius=4)
    rounded = torch.stack(list(LabelPropagator(options, storage).run(iter(features), labels0)))
    assert (rounded - propagated(features, labels0, options)).abs().max() < 0.05
    assert not torch.equal(rounded, propagated(features, labels0, options))


def test_normalised_masks_are_only_handed_out() -> None:
    features, labels0 = video(4, (6, 5))
    plain = propagated(features, labels0, PropagationSettings(context=2, radius=3))
    shown = propagated(features, labels0, PropagationSettings(context=2, radius=3, norm_mask=True))
    torch.testing.assert_close(shown, normalized(plain, dim=1))
    assert torch.equal(normalized(torch.ones(2, 3), dim=0), torch.zeros(2, 3))


def test_every_tile_size_finds_the_same() -> None:
    generator = torch.Generator().manual_seed(0)
    queries, sources = torch.randn(11 * 13, 8, generator=generator), torch.randn(11, 13, 3, 8, generator=generator)
    searches = [WindowSearch((11, 13), 3.5, 5, tile=tile) for tile in [(1, 1), (4, 3), (16, 4), (11, 13)]]
    asked = []
    results = [search(queries, lambda y: asked.append(y) or sources[y], 3) for search in searches]
    assert asked == list(range(11)) * 4  # each row once
    for values, sources_found in results[1:]:
        torch.testing.assert_close(values, results[0].values)
        assert torch.equal(sources_found, results[0].sources)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": 0}, "radius=0: no source cell is nearer"),
        ({"radius": float("inf")}, "radius=inf: is no distance; .* null for no limit"),
        ({"radius": float("nan")}, "radius=nan: is no distance"),
        ({"context": 0}, "context=0"),
        ({"topk": 0}, "topk=0"),
        ({"temperature": 0.0}, "temperature"),
        ({"long_memory": [-1]}, "long_memory"),
        ({"size": 3}, "size=3"),
        ({"size": [240]}, "size="),
    ],
)
def test_settings_out_of_range(options, message) -> None:
    with pytest.raises(InputError, match=message):
        PropagationSettings(**options)


def test_size_of_frames() -> None:
    assert PropagationSettings().frame_size(480, 854) == (480, 854)
    assert PropagationSettings(size=240).frame_size(480, 854) == (240, 427)
    assert PropagationSettings(size=240).frame_size(854, 480) == (427, 240)
    assert PropagationSettings(size=[320, 320]).frame_size(480, 854) == (320, 320)


def test_labels_of_another_grid() -> None:
    features, _ = video(1, (4, 5))
    with pytest.raises(ValueError, match="height and width differ"):
        next(LabelPropagator().run(iter(features), torch.ones(2, 5, 4)))
