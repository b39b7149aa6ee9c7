"""Data of SkeletonCLIP: 2D skeleton clips as heatmap volumes, with class texts."""

from datamodules.skeletonclip.datamodule import SkeletonDataModule as SkeletonDataModule
