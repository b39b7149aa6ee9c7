"""Trainings in this process: a batch of everything for each kind of row, shrunk; all else is the row's own."""

from pathlib import Path

import pytest

from tests.entrypoints.skeleton_run import write_clips
from tests.entrypoints.training import train_here

TINY_DATA = (
    "data.clip_len=4", "data.clips.val=1", "data.clips.test=1", "data.size.short_side=12", "data.size.train=12",
    "data.size.eval=12", "data.train_split=train", "data.val_split=test", "data.test_split=test",
    "data.skeleton=coco17", "data.ann_file=null", "data.label_file=null",
)  # fmt: skip
TINY_TEXTS = (
    "model.text_encoder.hidden_size=8", "model.text_encoder.num_layers=1", "model.text_encoder.num_heads=2",
    "model.text_encoder.intermediate_size=8", "model.text_encoder.vocab_size=2024", "model.embed_dim=8",
)  # fmt: skip
ROWS = ("itmdebug4", "modebug5", "pacldebug2", "paclmod5", "slowonly")


@pytest.mark.slow
@pytest.mark.parametrize("experiment", [*(f"{row}_ntu60" for row in ROWS), "pacl_jhmdb"])
def test_a_batch_of_everything(experiment: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = "model.backbone" if "slowonly" in experiment else "model.video_encoder.resnet"
    texts = () if "slowonly" in experiment else TINY_TEXTS
    if "itm" in experiment:  # texts look at clips as wide as they are
        texts = (*texts, "model.video_encoder.bottleneck_dim=8")
    root = write_clips(tmp_path / "set")
    card = train_here(
        f"skeletonclip_{experiment}", tmp_path / "run", "debug=fast", f"data.root={root}", f"{net}.base_channels=4",
        f"{net}.stage_blocks=[1,1,1]", *TINY_DATA, *texts,
    )  # fmt: skip
    assert "test/mean_class_acc" in capsys.readouterr().out
    assert card["status"] == "finished"
    if experiment == "pacl_jhmdb":
        assert "reported" not in card
    else:
        # A row's run of one epoch is not what the notes report.
        assert card["differs_from_reported"]["epochs"] == {"this_run": 1, "reported": 24}
