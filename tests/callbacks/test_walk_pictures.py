from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from callbacks.epoch_seed import EpochSeed
from callbacks.walk_pictures import WalkPictures, _mosaic, _thinned
from components.errors import InputError
from components.media.patches import PatchGrid, WholeFrame
from entrypoints.runs import build_module
from tests.callbacks.tiny import trainer
from tests.entrypoints.videowalk_run import walk_config

COMMON = {"walk_pair.png", "walk_cycle.png"}


def clips(kind: type, batch: int = 2) -> torch.Tensor:
    frames = torch.rand(batch, 3, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    return PatchGrid(24)(frames, generator) if kind is PatchGrid else WholeFrame()(frames)


@pytest.mark.parametrize(("kind", "third"), [(PatchGrid, "walk_neighbours.png"), (WholeFrame, "walk_matches.png")])
def test_pictures_leave_the_module_and_chance_as_they_were(tmp_path: Path, kind: type, third: str) -> None:
    module = build_module(walk_config()).train()
    module.net.selfsim_fc.eval()
    before, state = torch.random.get_rng_state(), {k: v.clone() for k, v in module.state_dict().items()}
    written = WalkPictures(str(tmp_path), queries=3, neighbours=4).draw(module, clips(kind))
    assert {file.name for file in written} == COMMON | {third}
    for file in written:
        with Image.open(file) as picture:
            assert np.asarray(picture.convert("L")).std() > 5  # not blank
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())
    assert module.training
    assert module.net.encoder.training
    assert not module.net.selfsim_fc.training


def test_when_it_draws_and_that_training_stays_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, float]] = []

    def fit(*callbacks: Any) -> torch.Tensor:
        torch.manual_seed(3)
        module = build_module(walk_config())
        train, val = clips(WholeFrame, 4), clips(WholeFrame, 2)
        loaders = [
            torch.utils.data.DataLoader([{"clips": each} for each in part], batch_size=2) for part in (train, val)
        ]
        trainer(tmp_path, [EpochSeed(0), *callbacks], max_epochs=3).fit(module, *loaders)
        return torch.cat([each.detach().flatten() for each in module.parameters()])

    def draw(self: WalkPictures, module: Any, shown: torch.Tensor) -> list[Path]:
        drawn.append((module.trainer.global_step, float(shown.sum())))
        return real(self, module, shown) if len(drawn) == 1 else []

    real = WalkPictures.draw
    monkeypatch.setattr(WalkPictures, "draw", draw)
    weights = fit(WalkPictures(str(tmp_path), every_n_epochs=2, every_n_steps=3, clips=1))
    # After steps 3 and 6 of 2 an epoch, after the second epoch (4 steps) and at the end (6).
    assert [step for step, _ in drawn] == [3, 4, 6, 6]
    expected = float(clips(WholeFrame, 2)[:1].sum())
    assert all(shown == pytest.approx(expected) for _, shown in drawn)  # the first clip of the validation
    assert {file.name for file in (tmp_path / "figures").iterdir()} >= COMMON
    assert torch.equal(weights, fit())


def test_only_the_first_process_draws(tmp_path: Path) -> None:
    pictures = WalkPictures(str(tmp_path), every_n_steps=1)
    other: Any = SimpleNamespace(is_global_zero=False, fast_dev_run=False, global_step=1)
    batch = {"clips": clips(WholeFrame)}
    pictures.on_validation_batch_start(other, None, batch, 0)  # type: ignore[arg-type]
    pictures.on_train_batch_start(other, None, batch, 0)  # type: ignore[arg-type]
    pictures.on_train_batch_end(other, None, None, batch, 0)  # type: ignore[arg-type]
    assert pictures._validation is None
    assert not (tmp_path / "figures").exists()


def test_patches_without_jitter_make_the_frame_again() -> None:
    frame = torch.rand(3, 32, 32)
    grid = PatchGrid(8)
    whole = torch.tensor([[0, 0, 8, 8]]).expand(49, 4)
    patches = grid.normalization.undo(grid(frame, crops=whole).view(49, 3, 8, 8))
    middle = frame[:, 2:30, 2:30].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(_mosaic(patches, (7, 7)), middle, atol=1e-6)


def test_shown_nodes_form_an_even_grid() -> None:
    assert _thinned((7, 7), 8).tolist() == list(range(49))
    rows, columns = np.divmod(_thinned((32, 20), 8), 20)
    assert sorted(set(rows)) == [1, 5, 9, 13, 17, 21, 25, 29]
    assert sorted(set(columns)) == [0, 3, 6, 9, 12, 15, 18]


@pytest.mark.parametrize("values", [{"every_n_epochs": -1}, {"every_n_steps": -1}, {"clips": 0}, {"queries": 0}])
def test_values_out_of_range(tmp_path: Path, values: dict[str, int]) -> None:
    with pytest.raises(InputError, match=next(iter(values))):
        WalkPictures(str(tmp_path), **values)  # type: ignore[arg-type]
