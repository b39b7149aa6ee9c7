import logging
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from components.errors import InputError
from entrypoints import prepare
from entrypoints.film_preparations import synthetic_davis, synthetic_jhmdb, synthetic_kinetics, synthetic_vip

TINY: dict[str, Any] = dict(frames=3, height=32, width=48)


def test_each_set_is_written_once(tmp_path: Path) -> None:
    for name, make in {
        "kinetics": lambda place: synthetic_kinetics(place, train_videos=1, val_videos=1, **TINY),
        "davis": lambda place: synthetic_davis(place, sequences=1, **TINY),
        "jhmdb": lambda place: synthetic_jhmdb(place, videos_per_action=1, **TINY),
        "vip": lambda place: synthetic_vip(place, videos=1, **TINY),
    }.items():
        place = tmp_path / name
        first, second = make(str(place)), make(str(place))
        assert (first.fresh, second.fresh) == (True, False)
        assert first.place == place
        assert "3 frames of 48 x 32 pixels" in first.lines[0]
        assert f"data.root={place}" in first.next_step
    assert synthetic_davis(str(tmp_path / "davis"), sequences=1, seed=1, **TINY).fresh
    with pytest.raises(InputError, match="left alone"):
        synthetic_vip(str(tmp_path / "davis"), videos=1, force=True, **TINY)


def test_the_job_reports(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    arguments = {"folder": str(tmp_path / "set"), "sequences": 1, "force": False, **TINY}
    target = {"_target_": "entrypoints.film_preparations.synthetic_davis", **arguments}
    with caplog.at_level(logging.INFO):
        prepare.job(OmegaConf.create({"dataset": target}))
    assert f"written: {tmp_path / 'set'}" in caplog.text
    assert "1 synthetic sequences with masks" in caplog.text
