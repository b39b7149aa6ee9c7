"""The builder as a whole; needs the optional package `anny`."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from components.body.builder import build_body
from components.body.loader import PACKAGED_BODY
from components.errors import InputError, MissingPackageError

needs_anny = pytest.mark.skipif(
    importlib.util.find_spec("anny") is None,
    reason="optional package 'anny' is absent: pip install -e '.[body-builder]'",
)


@needs_anny
@pytest.mark.slow
def test_builds_the_packaged_body_again(tmp_path: Path) -> None:
    written = build_body(tmp_path / "body.npz")
    with np.load(written, allow_pickle=False) as ours, np.load(PACKAGED_BODY, allow_pickle=False) as packaged:
        assert ours.files == packaged.files
        for name in ours.files:
            if ours[name].dtype.kind == "f":
                np.testing.assert_allclose(ours[name], packaged[name], atol=1e-5, err_msg=name)
            else:
                np.testing.assert_array_equal(ours[name], packaged[name], err_msg=name)


@pytest.mark.skipif(importlib.util.find_spec("anny") is not None, reason="the package 'anny' is installed")
def test_missing_package_names_the_extra(tmp_path: Path) -> None:
    with pytest.raises(MissingPackageError, match="body-builder"):
        build_body(tmp_path / "body.npz")
    assert not list(tmp_path.iterdir())


def test_output_must_be_npz(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"body\.pkl"):
        build_body(tmp_path / "body.pkl")
