"""Golden case of the clip arithmetic."""

from collections.abc import Callable

import numpy as np
import torch

from datamodules.videowalk.clip_index import ClipIndex
from datamodules.videowalk.clip_sampler import draw_clips
from datamodules.videowalk.timestamps import TimestampTable
from tests.golden.harness import Case


def clip_index(case: Case) -> None:
    for name, config in case.meta["config"].items():
        given = {key: case.arrays[f"in/{name}/{key}"] for key in ("num_frames", "fps_num", "fps_den", "pts")}
        videos = np.split(given["pts"], np.cumsum(given["num_frames"])[:-1])
        table = TimestampTable.build(videos)
        for video, pts in enumerate(videos):
            assert np.array_equal(table[video], pts)
        index = ClipIndex(
            table,
            given["fps_num"] / given["fps_den"],
            config["frames_per_clip"],
            config["step_between_clips"],
            config["frame_rate"],
        )

        def equal(key: str, value: np.ndarray, name: str = name) -> None:
            assert np.array_equal(value, case.arrays[f"out/{name}/{key}"]), (name, key)

        flat = range(len(index))
        equal("num_clips", np.array(len(index)))
        equal("cumulative_sizes", index.cumulative_sizes)
        equal("clip_pts", np.stack([index.clip_pts(clip) for clip in flat]))
        equal("clip_frames", np.stack([index.clip_frames(clip) for clip in flat]))
        equal("clip_video", np.array([index.locate(clip).video for clip in flat]))
        places = case.arrays[f"out/{name}/location"]
        equal("location", np.array([[clip, *index.locate(int(clip))] for clip in places[:, 0]]))
        counts = torch.from_numpy(index.clips_per_video)
        lengths = case.names(f"out/{name}/sampler_len_")
        assert lengths
        for key in lengths:
            most = int(key.rsplit("_", 1)[1])
            drawn = draw_clips(counts, most, torch.Generator().manual_seed(0))
            equal(f"sampler_len_{most}", np.array(len(drawn)))
            videos_drawn = [index.locate(int(clip)).video for clip in drawn]
            equal(f"sampler_per_video_{most}", np.bincount(videos_drawn, minlength=len(table)))


HANDLERS: dict[str, Callable[[Case], None]] = {"clip_index": clip_index}
