"""Golden case of the patch grid: windows, crops, normalisation and channel order."""

import torch

from components.media.normalization import Normalization
from components.media.patches import PatchGrid, WholeFrame
from tests.golden.harness import Case


def check_patch_grid(case: Case) -> None:
    config = case.meta["config"]
    normalization = Normalization(tuple(config["mean"]), tuple(config["std"]))
    grid = PatchGrid(
        config["patch"],
        config["stride"] / config["patch"],
        scale=tuple(config["jitter_scale"]),
        ratio=tuple(config["jitter_ratio"]),
        normalization=normalization,
    )
    image = case.tensor("in/image").to(torch.uint8).permute(2, 0, 1)
    windows = grid.windows(*image.shape[1:])
    assert windows.count == config["nodes"]
    case.check("out/grid", torch.tensor([windows.rows, windows.columns]))
    whole = torch.tensor([[0, 0, config["patch"], config["patch"]]]).expand(windows.count, 4)
    case.check("out/windows", grid(image, crops=whole))
    case.check("out/patches", grid(image, crops=case.tensor("in/crops")))
    case.check("out/full_normalised", WholeFrame(normalization=normalization)(image))


HANDLERS = {"patch_grid": check_patch_grid}
