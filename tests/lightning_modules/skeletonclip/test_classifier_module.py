import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from components.errors import InputError
from lightning_modules.skeletonclip.classifier_module import SkeletonClassifierModule
from tests.lightning_modules.skeletonclip.test_module import TinyData, trainer_for
from tests.lightning_modules.skeletonclip.tiny import JOINTS, tiny_batch


class TinyBackbone(nn.Module):
    channels = 6

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(JOINTS, 6, (1, 5, 5))

    def forward(self, clips: Tensor) -> Tensor:
        maps: Tensor = self.conv(clips)
        return maps.relu()


def classifier(**settings: Any) -> SkeletonClassifierModule:
    optimizer = functools.partial(torch.optim.AdamW, lr=0.1)
    return SkeletonClassifierModule(TinyBackbone(), optimizer, **{"dropout": 0.0, **settings})


def test_it_learns_with_as_many_classes_as_the_data_have() -> None:
    module = classifier()
    trainer = trainer_for(max_epochs=25, check_val_every_n_epoch=25)
    trainer.fit(module, TinyData())
    found = {key: float(value) for key, value in trainer.callback_metrics.items()}
    assert set(found) == {
        "train/loss", "train/loss_cls", "train/top1", "val/loss", "val/top1", "val/top5", "val/mean_class_acc",
    }  # fmt: skip
    assert found["val/top1"] == 1.0
    assert {name for name in module.state_dict() if "bn" not in name} == {
        "net.backbone.conv.weight", "net.backbone.conv.bias", "net.cls_head.fc_cls.weight", "net.cls_head.fc_cls.bias",
    }  # fmt: skip


def test_a_checkpoint_brings_its_number_of_classes() -> None:
    module = classifier(num_classes=9).eval()
    other = classifier().eval()
    other.load_state_dict(module.state_dict(), strict=True)
    imgs = tiny_batch([0, 1], clips=3)["imgs"]
    with torch.no_grad():
        assert torch.equal(other.clip_scores(imgs), module.clip_scores(imgs))
    with pytest.raises(RuntimeError, match="size mismatch"):
        classifier(num_classes=3).load_state_dict(module.state_dict())


def test_scores_are_mean_softmaxes_over_clips_whatever_the_portions() -> None:
    module = classifier(num_classes=4).eval()
    imgs = tiny_batch([0, 1, 2], clips=2)["imgs"]
    with torch.no_grad():
        expected = module.net(imgs.flatten(0, 1)).softmax(1).view(3, 2, 4).mean(1)
        for chunk in (None, 1, 4):
            torch.testing.assert_close(module.clip_scores(imgs, chunk), expected)
        assert module.video_features(imgs).shape == (3, 6)


def test_values_out_of_range() -> None:
    with pytest.raises(InputError, match=r"model\.dropout=1\.0"):
        classifier(dropout=1.0)
    with pytest.raises(InputError, match=r"model\.num_classes=2, but the data have 4"):
        trainer_for(max_epochs=1).fit(classifier(num_classes=2), TinyData())
    with pytest.raises(InputError, match=r"model\.clip_chunk=0"):
        classifier(clip_chunk=0)
