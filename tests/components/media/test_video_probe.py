import csv
import os
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from components.media import write_mp4
from components.media.video_probe import _rate, probe_video
from tests.components.media.video_files import corrupt, picture, write_video

DATA = Path(os.environ.get("TROUPE_DATA", Path(__file__).resolve().parents[4] / "shared" / "data")) / "kinetics_mini"
real = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is absent: set TROUPE_DATA to the folder of real data")


def decoded_pts(path: Path) -> list[int]:
    """The slow truth."""
    with av.open(str(path)) as container:
        return [frame.pts for frame in container.decode(container.streams.video[0])]


CASES = [
    ("b_frames.mp4", {}),
    ("open_gop.mp4", {"options": {"x264-params": "open-gop=1:scenecut=0"}}),
    ("mpeg4.mp4", {"codec": "mpeg4"}),
    ("mpeg4.avi", {"codec": "mpeg4"}),
    ("matroska.mkv", {}),
    ("transport.ts", {}),
    ("sound.mp4", {"sound": True}),
    ("variable.mp4", {"frames": [0, 1, 2, 7, 8, 20, 21, 22, 23, 40]}),
]


@pytest.mark.parametrize(("name", "settings"), CASES, ids=[name for name, _ in CASES])
def test_timestamps_are_those_of_the_decoded_frames(tmp_path: Path, name: str, settings: dict) -> None:
    path = write_video(tmp_path / name, **settings)
    facts = probe_video(path)
    assert facts.error is None
    assert facts.pts.tolist() == decoded_pts(path)
    assert (facts.width, facts.height) == (48, 32)
    assert set(facts.key_frames.tolist()) <= set(facts.pts.tolist())
    assert facts.key_frames[0] == facts.pts[0]
    if "frames" not in settings:
        assert facts.fps == 24
        assert len(facts.key_frames) >= 4  # a key frame every 12 of 40


def test_time_of_a_film_with_gaps(tmp_path: Path) -> None:
    times = [0, 1, 2, 7, 8, 20]
    facts = probe_video(write_video(tmp_path / "gaps.mp4", times, fps=10))
    assert [round(float(pts * facts.time_base) * 10) for pts in facts.pts] == times
    assert facts.seconds == pytest.approx(2.0)


def test_ntsc_rate_is_exact(tmp_path: Path) -> None:
    assert probe_video(write_video(tmp_path / "ntsc.mp4", 10, fps=Fraction(30000, 1001))).fps == Fraction(30000, 1001)


def test_an_edit_list_hides_frames(tmp_path: Path) -> None:
    """The edit starts 10 frames later: what comes before is decoded but not shown, and times may be negative."""
    path = write_video(tmp_path / "cut.mp4", 40, b_frames=0)
    data = bytearray(path.read_bytes())
    place = data.index(b"elst") + 4
    assert int.from_bytes(data[place + 4 : place + 8], "big") == 1
    with av.open(str(path)) as container:
        ticks = 10 * int(1 / container.streams.video[0].time_base) // 24
    old = int.from_bytes(data[place + 12 : place + 16], "big")
    data[place + 12 : place + 16] = (old + ticks).to_bytes(4, "big")
    path.write_bytes(data)
    facts = probe_video(path)
    assert facts.pts.tolist() == decoded_pts(path)
    assert facts.num_frames == 30


def test_what_is_no_video_is_told(tmp_path: Path) -> None:
    assert "No such file" in (probe_video(tmp_path / "gone.mp4").error or "")
    (tmp_path / "empty.mp4").touch()
    assert "0 bytes" in (probe_video(tmp_path / "empty.mp4").error or "")
    (tmp_path / "text.mp4").write_text("not a film at all")
    assert "cannot be opened" in (probe_video(tmp_path / "text.mp4").error or "")
    assert probe_video(tmp_path).error is not None
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        voice = container.add_stream("aac", rate=16000)
        container.mux(voice.encode(None))
    facts = probe_video(tmp_path / "sound.mp4")
    assert facts.error is not None
    assert facts.num_frames == 0


def test_titles_and_codecs_that_nobody_can_read(tmp_path: Path) -> None:
    """Neither a title in another encoding nor pictures without a decoder may end the indexing of all the others."""
    path = write_video(tmp_path / "12:30.mp4", 6)
    whole = path.read_bytes()
    assert whole.count(b"VideoHandler") == 1
    path.write_bytes(whole.replace(b"VideoHandler", b"Vid\xe9oHandle\xff"))
    assert probe_video(path).num_frames == 6
    path.write_bytes(whole.replace(b"avc1", b"zzzz"))
    assert "no picture stream in the file that can be decoded" in (probe_video(path).error or "")


def test_names_are_no_protocols(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_video(tmp_path / "12:30.mp4", 6).parent)
    assert probe_video("12:30.mp4").num_frames == 6


def test_rates_fit_the_index(tmp_path: Path) -> None:
    """Ticks that no clock has, as a damaged header gives them."""
    ticks = Fraction(2**31 - 1, 2**31 - 3)
    rate = _rate(SimpleNamespace(average_rate=None), np.array([0, 5, 2**61 + 1]), ticks)
    assert rate is None or max(rate.numerator, rate.denominator) < 2**63
    assert _rate(SimpleNamespace(average_rate=None), np.array([0, 1, 4]), Fraction(1, 8)) == 4


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_truncated_files_are_found(tmp_path: Path, share: float) -> None:
    """The index comes first, so that the file opens: it lists more than there is."""
    path = write_mp4(tmp_path / "film.mp4", (picture(number, (64, 96)) for number in range(30)), 24)
    whole = path.read_bytes()
    start = whole.index(b"mdat")
    path.write_bytes(whole[: start + int(share * (len(whole) - start))])
    assert "truncated: its index lists 30 frames" in (probe_video(path).error or "")
    path.write_bytes(whole[: start // 2])
    assert "cannot be opened" in (probe_video(path).error or "")


def test_damage_inside_frames_does_not_show(tmp_path: Path) -> None:
    """Nothing is decoded: this is left to the reader."""
    path = corrupt(write_video(tmp_path / "film.mp4", 20))
    assert probe_video(path).error is None
    assert probe_video(path).num_frames == 20


@real
def test_real_videos() -> None:
    with (DATA / "videos.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 17
    for row in rows:
        facts = probe_video(DATA / row["path"])
        assert facts.error is None
        assert (facts.num_frames, facts.width, facts.height) == tuple(
            int(row[key]) for key in ("frames", "width", "height")
        )
        assert facts.fps == Fraction(row["fps_fraction"])
        assert facts.seconds == pytest.approx(float(row["first_to_last_s"]), abs=2e-3)


@real
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("empty", "0 bytes"),
        ("truncated_no_moov", "cannot be opened"),
        ("truncated_midstream", "truncated: its index lists 50 frames, 17 are in the file"),
    ],
)
def test_real_broken_videos(name: str, reason: str) -> None:
    facts = probe_video(DATA / "broken" / f"{name}.mp4")
    assert reason in (facts.error or "")
    assert facts.num_frames == 0
