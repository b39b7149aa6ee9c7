"""Golden cases of videowalk's evaluation metrics: DAVIS J and F, PCK with its label maps, IoU of parts."""

from collections.abc import Callable

import numpy as np
import pytest

from components.media.joint_maps import joint_coordinates, joint_label_map
from components.metrics.davis import (
    BOUNDARY_TOLERANCE,
    GLOBAL_COLUMNS,
    RECALL_THRESHOLD,
    DavisScore,
    boundary_map,
    quarter_edges,
)
from components.metrics.part_iou import PartIoU
from components.metrics.pck import THRESHOLDS, Pck, box_normalizers
from tests.golden.harness import Case


def check_davis_metrics(case: Case) -> None:
    """Boundary maps, J and F of every frame, statistics of every object, the global row, edges of the quarters."""
    assert case.meta["config"]["boundary_threshold"] == BOUNDARY_TOLERANCE
    assert case.meta["config"]["recall_threshold"] == RECALL_THRESHOLD
    score = DavisScore()
    for name in case.meta["config"]["sequences"]:
        truth = case.arrays[f"in/{name}/gt"]
        score.update(name, truth, case.arrays[f"in/{name}/pred"])
        objects = score.scores[name]
        case.check(f"out/{name}/J", np.stack([scores.j for scores in objects]))
        case.check(f"out/{name}/F", np.stack([scores.f for scores in objects]))
        rows = np.array([scores.row() for scores in objects])
        case.check(f"out/{name}/J_mean_recall_decay", rows[:, :3])
        case.check(f"out/{name}/F_mean_recall_decay", rows[:, 3:])
        case.check(f"out/{name}/boundary_gt_frame1_obj1", boundary_map(truth[1] == 1).astype(np.int64))
    values = score.compute()
    case.check("out/global", np.array([float(values[column]) for column in GLOBAL_COLUMNS]))
    edges = case.arrays["out/decay_bin_edges"]
    case.check("out/decay_bin_edges", np.array([[row[0], *quarter_edges(int(row[0]))] for row in edges]))


def check_jhmdb_pck(case: Case) -> None:
    """Joints to label maps and back, and the published percentages."""
    config = case.meta["config"]
    grid = config["feature_grid"]
    maps = joint_label_map(case.tensor("in/label_points"), (grid, grid), config["sigma"])
    case.check("out/label_map", maps.permute(1, 2, 0))
    case.check("out/coords", joint_coordinates(case.tensor("in/soft").permute(2, 0, 1), config["top_k_coords"]))
    assert config["thresholds"] == pytest.approx(THRESHOLDS)
    score = Pck()
    for number, video in enumerate(config["videos"]):
        truth, cells = case.arrays[f"in/gt_{number}"], case.arrays[f"in/pred_{number}"]
        pixels = cells / grid * np.array([video["W"], video["H"]], dtype=np.float32)[:, None, None]
        case.check(f"out/box_{number}", box_normalizers(truth, pixels[0] >= 0))
        score.update(truth, pixels)
    scores = score.scores()
    case.check("out/visible_counts", scores.counts)
    case.check("out/pck", np.concatenate([scores.joints, scores.mean[:, None]], axis=1))


def check_vip_miou(case: Case) -> None:
    """Confusion of parts and what is made of it; -1 stands for classes that are nowhere."""
    score = PartIoU(case.meta["config"]["classes"])
    for truth, prediction in zip(case.arrays["in/gt"], case.arrays["in/pred"], strict=True):
        score.update(truth, prediction)
    case.check("out/confusion", score.confusion)
    scores = score.scores()
    case.check("out/summary", np.array(scores[:4]))
    case.check("out/iou", np.nan_to_num(scores.iou, nan=-1))
    case.check("out/acc", np.nan_to_num(scores.accuracy, nan=-1))


HANDLERS: dict[str, Callable[[Case], None]] = {
    "davis_metrics": check_davis_metrics,
    "jhmdb_pck": check_jhmdb_pck,
    "vip_miou": check_vip_miou,
}
