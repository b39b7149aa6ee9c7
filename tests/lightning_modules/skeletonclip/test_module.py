import functools
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningDataModule
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from components.errors import InputError
from lightning_modules.skeletonclip.alignment import Alignment
from lightning_modules.skeletonclip.matching import Matching
from lightning_modules.skeletonclip.module import SkeletonClipModule
from lightning_modules.skeletonclip.momentum import Momentum
from lightning_modules.skeletonclip.recognizer import Temperature
from tests.lightning_modules.skeletonclip.tiny import TEXTS, TinyText, TinyTokenizer, TinyVideo, tiny_batch, tiny_module

PACL: dict[str, Any] = {"embedder": "residual_mlp", "pooling": "text_weighted", "objective": "all_class"}
VARIANTS: dict[str, dict[str, Any]] = {
    "visece": {},
    "itm": {"matching": Matching},
    "momentum": {"momentum": functools.partial(Momentum, queue_size=7, decay=0.5, alpha=0.2)},
    "pacl_in_batch": {"embedder": "residual_mlp", "pooling": "text_weighted"},
    "pacl": {**PACL, "alignment": Alignment("sigmoid", 10.0)},
    "plus": {"pooling": "text_weighted", "objective": "all_class"},
}


class TinyData(LightningDataModule):
    """Batches that name their classes."""

    def __init__(self) -> None:
        super().__init__()
        self.label_texts, self.num_classes = TEXTS, len(TEXTS)

    def loader(self, clips: int) -> DataLoader[Any]:
        batches = [tiny_batch([0, 1, 2, 3], clips, seed) for seed in (0, 1)]
        return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]

    def train_dataloader(self) -> DataLoader[Any]:
        return self.loader(1)

    def val_dataloader(self) -> DataLoader[Any]:
        return self.loader(2)

    test_dataloader = val_dataloader


def trainer_for(**settings: Any) -> Trainer:
    return Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, **settings,
    )  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.filterwarnings("ignore:You have overridden `on_before_batch_transfer`")
def test_every_variant_learns_and_names_its_figures(name: str) -> None:
    optimizer = functools.partial(torch.optim.AdamW, lr=0.01)
    module = tiny_module(texts=None, optimizer=optimizer, **VARIANTS[name])
    trainer = trainer_for(max_epochs=40, check_val_every_n_epoch=40)
    trainer.fit(module, TinyData())
    found = {key: float(value) for key, value in trainer.callback_metrics.items()}
    wanted = {"train/loss", "train/loss_cls", "train/top1", "val/loss", "val/top1", "val/top5", "val/mean_class_acc"}
    assert set(found) == wanted | ({"train/loss_itm"} if name == "itm" else set())
    assert found["val/top1"] == found["val/mean_class_acc"] >= 0.75  # by chance 0.25


def test_a_text_is_read_once_per_batch_or_evaluation() -> None:
    module = tiny_module()
    read = module.net.text_encoder.calls
    batch = module.on_before_batch_transfer(tiny_batch([2, 0, 2, 2]), 0)
    assert batch["classes"].tolist() == [0, 2]
    assert batch["slot"].tolist() == [1, 0, 1, 1]
    with_slots, without = module.compute_loss(batch), module.compute_loss(tiny_batch([2, 0, 2, 2]))  # type: ignore[arg-type]
    torch.testing.assert_close(with_slots["loss"], without["loss"])
    assert read == [2, 2]
    module.eval()
    imgs = tiny_batch([0, 1], clips=2)["imgs"]
    for _ in range(3):
        module.clip_scores(imgs, 1)
    assert read == [2, 2, 4]
    module.on_validation_epoch_start()
    module.clip_scores(imgs)
    assert read == [2, 2, 4, 4]
    kept = module.class_features()
    module.train()
    module.compute_loss(batch)["loss"].backward()
    torch.optim.SGD(module.parameters(), lr=1.0).step()
    module.eval()
    assert not torch.equal(module.class_features(), kept)


def test_a_frozen_encoder_reads_the_texts_once_per_fit() -> None:
    module = tiny_module(texts=None, frozen=True, **PACL)
    trainer_for(max_epochs=3).fit(module, TinyData())
    assert module.net.text_encoder.calls == [4]
    frozen, free = (tiny_module(frozen=each) for each in (True, False))
    free.load_state_dict(frozen.state_dict())
    batch: Any = tiny_batch([3, 1, 1])
    torch.testing.assert_close(frozen.compute_loss(batch)["loss"], free.compute_loss(batch)["loss"])
    assert frozen.net.text_encoder.calls == [4]
    # Weights that come in later count.
    before = frozen.eval().class_features()
    frozen.load_state_dict({k: v + 1 if v.is_floating_point() else v for k, v in frozen.state_dict().items()})
    assert not torch.equal(frozen.class_features(), before)


def test_inference_mode_leaves_nothing_that_training_cannot_use() -> None:
    module = tiny_module(frozen=True)
    with torch.inference_mode():
        module.eval().clip_scores(tiny_batch([0])["imgs"])
    module.train().compute_loss(tiny_batch([0, 1]))["loss"].backward()  # type: ignore[arg-type]
    assert module.net.text_proj.weight.grad is not None


@pytest.mark.parametrize("name", ["visece", "pacl"])
def test_scores_are_mean_softmaxes_of_bare_cosines_whatever_the_portions(name: str) -> None:
    module = tiny_module(**VARIANTS[name]).eval()
    imgs = tiny_batch([0, 1, 3], clips=4)["imgs"]
    with torch.no_grad():
        cosines = module.clip_cosines(imgs)
        assert cosines.shape == (3, 4, 4)
        assert float(cosines.abs().max()) <= 1 + 1e-6
        scores = module.clip_scores(imgs)
        torch.testing.assert_close(scores, cosines.softmax(2).mean(1))
        for chunk in (1, 5):
            torch.testing.assert_close(module.clip_scores(imgs, chunk), scores)
        features = module.video_features(imgs, 5)
        torch.testing.assert_close(features.norm(dim=1), torch.ones(3))
    assert max(module.net.video_encoder.calls[-2:]) == 5


def test_temperature_at_test_makes_scores_sharper() -> None:
    module = tiny_module(temperature=Temperature(use_at_test=True)).eval()
    imgs = tiny_batch([0, 1])["imgs"]
    with torch.no_grad():
        torch.testing.assert_close(module.clip_scores(imgs), (module.clip_cosines(imgs) / 0.07).softmax(2).mean(1))


def test_other_texts_share_the_weights_and_leave_the_module_alone() -> None:
    module = tiny_module().eval()
    other = module.with_texts(["wave", ["run", "hop"]])
    assert other.net is module.net
    torch.testing.assert_close(other.class_features()[0], module.class_features()[3])
    assert (module.texts.names, other.texts.names) == (TEXTS, ["wave", "run"])
    assert other.clip_scores(tiny_batch([0])["imgs"]).shape == (1, 2)
    assert module.clip_scores(tiny_batch([0])["imgs"]).shape == (1, 4)


def test_a_checkpoint_brings_its_texts() -> None:
    module = tiny_module(texts=["one", "two"])
    other = tiny_module(texts=None)
    other.load_state_dict(module.state_dict(), strict=True)
    assert other.texts.names == ["one", "two"]
    imgs = tiny_batch([0])["imgs"]
    assert torch.equal(other.eval().clip_scores(imgs), module.eval().clip_scores(imgs))


def test_similarities_and_losses_are_float32_under_autocast() -> None:
    for settings in VARIANTS.values():
        module = tiny_module(**settings)
        with torch.autocast("cpu", torch.bfloat16):
            terms = module.compute_loss(tiny_batch([0, 1, 1, 2]))  # type: ignore[arg-type]
        assert {value.dtype for value in terms.values()} == {torch.float32}


def test_temperature_is_clamped_before_the_step() -> None:
    module = tiny_module(temperature=Temperature(use_at_test=True))
    with torch.no_grad():
        module.net.temp.fill_(3.0)
    module.compute_loss(tiny_batch([0, 1]))  # type: ignore[arg-type]
    assert float(module.net.temp.detach()) == 0.5
    # The last step of a training may leave any value, which must not turn the order of the scores around.
    imgs = tiny_batch([0, 1])["imgs"]
    with torch.no_grad():
        module.net.temp.fill_(-0.003)
        module.eval()
        torch.testing.assert_close(module.clip_scores(imgs), (module.clip_cosines(imgs) / 0.001).softmax(2).mean(1))


def test_several_training_clips_count_as_samples() -> None:
    module = tiny_module()
    batch = tiny_batch([0, 2], clips=2)
    flat: Any = {"imgs": batch["imgs"].flatten(0, 1).unsqueeze(1), "label": torch.tensor([0, 0, 2, 2])}
    torch.testing.assert_close(module.compute_loss(batch)["loss"], module.compute_loss(flat)["loss"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "pairs"}, "model.objective='pairs'"),
        ({"objective": "all_class", "gather": True}, "model.gather belongs to model.objective=in_batch"),
        ({"objective": "all_class", "matching": Matching}, "model.matching belongs"),
        ({"clip_chunk": 0}, "model.clip_chunk=0"),
        ({"pooling": "max"}, "model.pooling='max'"),
        ({"embedder": "mlp"}, "model.embedder='mlp'"),
        ({"embed_dim": 0}, "model.embed_dim=0"),
        ({"lr": {"head": 1.0}}, "model.lr.head"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SkeletonClipModule(TinyVideo(), TinyText(), TinyTokenizer(), torch.optim.SGD, **settings)


def test_no_classes_are_an_error() -> None:
    batches: list[dict[str, Tensor]] = [tiny_batch([0, 1])]
    with pytest.raises(InputError, match=r"model\.texts=null"):
        trainer_for(max_epochs=1).fit(tiny_module(texts=None), DataLoader(batches, batch_size=None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "labels", "batch_size", "message"),
    [
        ("itm", [1, 1, 1], 4, "all training clips are of one class"),
        ("pacl", [1, 1, 1], 4, "all training clips are of one class"),
        ("visece", [0, 1, 2], 1, r"data\.batch_size=1"),
        ("momentum", [0, 1, 2], 1, None),
        ("pacl", [0, 1, 2], 1, None),
    ],
)
def test_batches_that_teach_nothing(name: str, labels: list[int], batch_size: int, message: str | None) -> None:
    data: Any = TinyData()
    data.labels, data.batch_size = lambda split: np.array(labels), batch_size
    module = tiny_module(**VARIANTS[name])
    module.trainer = trainer_for(max_epochs=1)
    module.trainer.datamodule = data
    with nullcontext() if message is None else pytest.raises(InputError, match=message):
        module.setup("fit")
    module.setup("test")  # evaluation asks for no more than labels


def test_a_batch_of_one_class_with_matching_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    module = tiny_module(matching=Matching).train()
    for labels in ([0, 1], [1, 1], [2, 2]):
        module.on_before_batch_transfer(tiny_batch(labels), 0)
    assert [record.getMessage()[:36] for record in caplog.records] == ["a batch of 2 clips is of class 1 alo"]


def test_bounds_of_the_temperature() -> None:
    with pytest.raises(InputError, match="expected 0 < min <= init <= max"):
        Temperature(init=0.7)
