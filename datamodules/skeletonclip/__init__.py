"""Data of the contrastive random walk: clips of videos to train on, and annotated videos to evaluate on."""

from datamodules.videowalk.datamodule import VideoClipsDataModule as VideoClipsDataModule
