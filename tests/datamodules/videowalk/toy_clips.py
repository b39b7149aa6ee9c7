"""Videos that exist in memory only: frames whose colour tells video and frame, some of them broken."""

import numpy as np
import torch

from components.media.clip_reader import broken_video


class ToyClips:
    """`counts[v]` clips of two frames per video; pixel values are (video, frame number, 0)."""

    def __init__(self, counts, broken_clips=(), broken_videos=(), skipped=()):
        self.counts = np.asarray(counts)
        self.broken_clips = set(broken_clips)
        self.broken_videos = set(broken_videos)
        self.skipped = dict(skipped)
        self.keys = [self.name(video) for video in range(len(self.counts))]

    def name(self, video):
        return f"class/video{video}.mp4"

    def read(self, video, clip):
        if video in self.broken_videos or (video, clip) in self.broken_clips:
            raise broken_video(self.name(video), f"clip {clip} is torn")
        frames = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
        frames[:, 0] = video
        frames[:, 1] = torch.tensor([clip, clip + 1])[:, None, None]
        return frames
