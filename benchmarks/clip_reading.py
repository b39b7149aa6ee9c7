"""Reading clips of 4 frames at 8 per second out of videos, and indexing a folder of videos, one thread each.

Films of our own, H.264 with 2 B-frames and sound, as many as `--films`, of `--frames` frames at 30 per second. Each
figure is a ratio of times within this process, all of the same answers, which are compared:

* clip / whole: a clip by seeking to the key frame before it, against decoding every frame of the film and making
  pictures of those of the clip; with key frames every `--group` frames and with only one at the start, where there is
  nothing to seek to and only what comes after the clip is saved.
* clip / film: the same against reading the film as pictures and picking those of the clip.
* kept / reopened: five clips of a film with the file kept open, against opening it for every clip.
* demux / decode: indexing the films from their packets, against the timestamps of decoded frames.
* two / one: indexing with two processes against one (of many links to the films, so that starting does not count).
  The ratio of their processor time tells what sharing the work costs, also on a machine that is busy otherwise.

Run: python -m benchmarks.clip_reading [--films 6] [--frames 300] [--group 60] [--files 600] [--data FOLDER]
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from components.cores import usable_cores
from components.media.clip_reader import ClipReader, upright
from components.media.video import read_video
from components.media.video_probe import VideoFacts, probe_video
from datamodules.videowalk.clip_index import ClipIndex
from datamodules.videowalk.video_index import build_video_index

HEIGHT, WIDTH, FPS, CLIPS = 256, 340, 30, 5
LIMIT_CLIP, LIMIT_DEMUX, LIMIT_WORKERS = 0.5, 0.33, 0.8


def write_film(path: Path, frames: int, group: int, seed: int) -> Path:
    """A texture that drifts, with silence beside it."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (HEIGHT // 8 + 8, WIDTH // 8 + 8, 3), dtype=np.uint8)
    scene = np.repeat(np.repeat(coarse, 8, 0), 8, 1)
    with av.open(str(path), "w") as container:
        options = {"preset": "veryfast", "g": str(group), "keyint_min": str(group), "bf": "2", "sc_threshold": "0"}
        stream: Any = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.thread_count = WIDTH, HEIGHT, "yuv420p", 1
        voice: Any = container.add_stream("aac", rate=16000)
        for number in range(frames):
            y, x = (int(20 + 20 * function(number / 25)) for function in (np.sin, np.cos))
            picture = np.ascontiguousarray(scene[y : y + HEIGHT, x : x + WIDTH])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            sound = av.AudioFrame.from_ndarray(np.zeros((1, 533), dtype=np.float32), format="fltp", layout="mono")
            sound.sample_rate, sound.pts, sound.time_base = 16000, 533 * number, Fraction(1, 16000)
            container.mux(voice.encode(sound))
        container.mux(stream.encode(None))
        container.mux(voice.encode(None))
    return path


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of one run, and what it returned."""
    start = time.perf_counter()
    answer = job()
    return time.perf_counter() - start, answer


def wanted_clips(facts: Sequence[VideoFacts]) -> list[tuple[str, np.ndarray]]:
    """Five random clips of every film: path and timestamps, film after film."""
    index = ClipIndex.build(facts)
    rng = np.random.default_rng(0)
    clips = []
    for video, each in enumerate(facts):
        for clip in rng.choice(index.clips_per_video[video], min(CLIPS, index.clips_per_video[video]), replace=False):
            clips.append((each.path, each.pts[index.frames(video, int(clip))]))
    return clips


def compare_reading(paths: Sequence[Path]) -> dict[str, float]:
    """Milliseconds per clip of each way."""
    facts = [probe_video(path) for path in paths]
    places = {each.path: each.pts for each in facts}
    clips = wanted_clips(facts)

    def whole(path: str, pts: np.ndarray) -> torch.Tensor:
        wanted = set(pts.tolist())
        with av.open(path) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            pictures = [upright(frame) for frame in container.decode(stream) if frame.pts in wanted]
        return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)

    def film(path: str, pts: np.ndarray) -> torch.Tensor:
        return read_video(path).frames[np.searchsorted(places[path], pts)].permute(0, 3, 1, 2)

    kept, reopened = ClipReader(max_open=1), ClipReader(max_open=0)
    ways: dict[str, Callable[[str, np.ndarray], torch.Tensor]] = {
        "film": film, "whole": whole, "reopened": reopened.read, "kept": kept.read,
    }  # fmt: skip
    seconds, answers = {}, {}
    for name, read in ways.items():
        read(*clips[0])  # warm
        seconds[name], answers[name] = timed(lambda read=read: [read(*clip) for clip in clips])  # type: ignore[misc]
    for name in ("film", "reopened", "kept"):
        assert all(torch.equal(one, other) for one, other in zip(answers[name], answers["whole"])), name
    figures = {name: 1e3 * value / len(clips) for name, value in seconds.items()}
    return figures | {"frames decoded per clip": kept.decoded / (len(clips) + 1)}


def decoded_pts(path: Path) -> np.ndarray:
    """Timestamps by decoding every frame, without making pictures of them."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        return np.array([frame.pts for frame in container.decode(stream)])


def processor_seconds() -> float:
    """Processor time of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def compare_indexing(paths: Sequence[Path], files: int, folder: Path) -> dict[str, float]:
    """Milliseconds per file of each way."""
    by_demux, facts = timed(lambda: [probe_video(path).pts for path in paths])
    by_decode, pts = timed(lambda: [decoded_pts(path) for path in paths])
    assert all(np.array_equal(one, other) for one, other in zip(facts, pts))
    links = folder / "links"
    links.mkdir()
    for number in range(files):
        os.symlink(paths[number % len(paths)].resolve(), links / f"{number}.mp4")
    figures = {"demux": 1e3 * by_demux / len(paths), "decode": 1e3 * by_decode / len(paths)}
    for workers in (1, 2):
        before = processor_seconds()
        seconds, index = timed(partial(build_video_index, links, None, folder / "cache", workers, force=True))
        assert len(index) == index.probed == files
        name = f"{workers} process{'es' if workers > 1 else ''}"
        figures[name] = 1e3 * seconds / files
        figures[f"{name}, processor time"] = 1e3 * (processor_seconds() - before) / files
    return figures


def show(title: str, figures: dict[str, float]) -> None:
    print(f"{title}: " + ", ".join(f"{name} {value:.2f}" for name, value in figures.items()))


def measure(films: int, frames: int, group: int, files: int, data: Path | None) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for every in (group, frames):
            if data is not None and every == frames:
                break
            paths = (
                [write_film(folder / f"{every}_{number}.mp4", frames, every, number) for number in range(films)]
                if data is None
                else sorted(path for path in data.rglob("*.mp4") if probe_video(path).error is None)
            )
            reading = compare_reading(paths)
            kind = f"real films in {data.name}" if data else f"key frames every {every} of {frames}"
            show(f"{kind}, ms per clip", reading)
            verdict = "" if every == frames else f", limit {LIMIT_CLIP}"
            print(f"  clip / whole = {reading['kept'] / reading['whole']:.3f}{verdict}")
            print(f"  clip / film = {reading['kept'] / reading['film']:.3f}")
            print(f"  kept / reopened = {reading['kept'] / reading['reopened']:.3f}")
        indexing = compare_indexing(paths, files, folder)
        show("index, ms per file", indexing)
        print(f"  demux / decode = {indexing['demux'] / indexing['decode']:.3f}, limit {LIMIT_DEMUX}")
        work = indexing["2 processes, processor time"] / indexing["1 process, processor time"]
        both = indexing["2 processes"] / indexing["1 process"]
        print(
            f"  two / one = {both:.3f}, limit {LIMIT_WORKERS} where two cores "
            f"are free\n  ({usable_cores()} usable here); of their processor time {work:.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=6)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--group", type=int, default=60)
    parser.add_argument("--files", type=int, default=600)
    parser.add_argument("--data", type=Path, default=None, help="a folder of videos instead of films of our own")
    torch.set_num_threads(1)
    measure(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
