from pathlib import Path

import numpy as np
import pytest
import torch

from components.body.loader import load_body
from components.body.motion_files import BodyMotion, read_motion, write_motion
from components.errors import InputError


def motion(frames: int = 4) -> BodyMotion:
    generator = torch.Generator().manual_seed(0)
    return BodyMotion(
        torch.randn(frames, 72, generator=generator) * 0.3,
        torch.randn(frames, 3, generator=generator),
        20.0,
        torch.linspace(-1, 1, 10),
        action="walk",
        second_action="drink",
    )


def test_written_motions_come_back(tmp_path: Path) -> None:
    original = motion()
    write_motion(tmp_path / "one.npz", original, original.joints(load_body()))
    back = read_motion(tmp_path / "one.npz")
    torch.testing.assert_close(back.poses, original.poses)
    torch.testing.assert_close(back.trans, original.trans)
    torch.testing.assert_close(back.betas, original.betas)
    assert (back.fps, back.action, back.second_action, back.in_place) == (20.0, "walk", "drink", False)


def test_joints_without_vertices_equal_those_with() -> None:
    body = load_body()
    torch.testing.assert_close(motion().joints(body), motion().pose(body).joints, atol=1e-5, rtol=1e-5)


def test_amass_rows_lose_their_fingers_only(tmp_path: Path) -> None:
    poses = np.random.default_rng(0).normal(size=(3, 156)).astype(np.float32)
    np.savez(tmp_path / "amass.npz", poses=poses, trans=np.zeros((3, 3)), betas=np.ones(16), mocap_framerate=120.0)
    back = read_motion(tmp_path / "amass.npz")
    np.testing.assert_array_equal(back.poses[:, :66].numpy(), poses[:, :66])
    assert not back.poses[:, 66:].any()
    assert back.fps == 120.0
    assert back.in_place
    assert back.betas is not None
    assert len(back.betas) == 10


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "'poses' is nothing"),
        ({"poses": np.zeros((3, 24), dtype=np.float32)}, r"\[3, 24\]"),
        ({"poses": np.full((3, 72), np.nan)}, "NaN"),
        ({"poses": np.zeros((3, 72)), "trans": np.zeros((2, 3))}, "'trans'"),
        ({"poses": np.array([{"an": "object"}])}, "cannot be read"),
    ],
)
def test_bad_files(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message):
        read_motion(tmp_path / "bad.npz")


def test_missing_and_truncated_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_motion(tmp_path / "none.npz")
    write_motion(tmp_path / "one.npz", motion(), torch.zeros(4, 24, 3))
    whole = (tmp_path / "one.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        read_motion(tmp_path / "half.npz")
