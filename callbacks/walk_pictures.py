"""Pictures of what a walk has learnt, while it trains."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from callbacks.figures import save_figure
from callbacks.periodic_pictures import PeriodicPictures
from callbacks.walk_drawings import draw_cycle, draw_matches, draw_neighbours, draw_pair
from components.errors import InputError
from components.media.normalization import named_normalization
from lightning_modules.videowalk.diagnostics import (
    argmax_flow,
    feature_colours,
    first_cycle,
    grid_shape,
    mutual_matches,
    nearest_nodes,
)

# Most nodes along a side that arrows and cycles are drawn for.
_ARROWS, _CYCLES = 20, 8


class WalkPictures(PeriodicPictures):
    """Writes `figures/walk_pair.png`, `walk_cycle.png` and `walk_neighbours.png` (whole frames: `walk_matches.png`).

    They show two frames with the principal components of their features and the likeliest steps between them; where
    walkers end that go to the next frame and back; and which patches look alike to the network (whole frames: which
    cells are each other's nearest neighbours). The clips are the first ones of the validation, always the same;
    without validation those of the first training batch.

    Nothing is drawn from torch's global generators: the training stays as it was.

    Args:
        run_dir: pictures go to its `figures`.
        every_n_epochs: epochs between two pictures; 0 = at the end of the fit only.
        every_n_steps: steps between two pictures, besides; 0 = none.
        clips: clips that neighbours are looked for in, at most.
        queries: patches whose neighbours are shown.
        neighbours: of each.
        normalization: statistics that the clips are normalised with, undone for the pictures.
        seed: of the choice of queries.

    Raises:
        InputError: a value is out of range.
    """

    subject = "pictures of the walk"

    def __init__(
        self,
        run_dir: str,
        every_n_epochs: int = 0,
        every_n_steps: int = 0,
        clips: int = 4,
        queries: int = 8,
        neighbours: int = 10,
        normalization: Literal["crw_training", "imagenet", "gray_lab"] = "crw_training",
        seed: int = 0,
    ) -> None:
        for name, value, least in (
            ("every_n_epochs", every_n_epochs, 0), ("every_n_steps", every_n_steps, 0), ("clips", clips, 1),
            ("queries", queries, 1), ("neighbours", neighbours, 1), ("seed", seed, 0),
        ):  # fmt: skip
            if value < least:
                raise InputError(f"callbacks.walk_pictures.{name}={value} must be at least {least}")
        super().__init__(every_n_epochs)
        self.folder = Path(run_dir) / "figures"
        self.every_n_steps = every_n_steps
        self.clips = clips
        self.queries = queries
        self.neighbours = neighbours
        self.normalization = named_normalization(normalization, "callbacks.walk_pictures.normalization")
        self.seed = seed
        self._validation: Tensor | None = None
        self._training: Tensor | None = None

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        if self._validation is None and batch_idx == 0 and trainer.is_global_zero:
            self._validation = self._kept(batch)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._validation is None and self._training is None and trainer.is_global_zero:
            self._training = self._kept(batch)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.every_n_steps and trainer.global_step % self.every_n_steps == 0:
            self._draw(trainer, pl_module)

    def _kept(self, batch: Any) -> Tensor:
        clips: Tensor = batch["clips"]
        return clips[: self.clips].detach().to("cpu", copy=True)

    def draw_now(self, trainer: Trainer, pl_module: LightningModule) -> None:
        clips = self._validation if self._validation is not None else self._training
        if clips is not None:
            self.draw(pl_module, clips)

    @torch.no_grad()
    def draw(self, pl_module: LightningModule, clips: Tensor) -> list[Path]:
        """Write the pictures; the module stays as it is.

        Args:
            pl_module: has the network as `net` and the walk as `walk`.
            clips: normalised, `[B, T, 3*N, h, w]`.

        Returns:
            The files.
        """
        module: Any = pl_module
        was_training = [each for each in module.modules() if each.training]
        module.eval()
        try:
            features = module.net(clips.to(module.device))
        finally:
            for each in was_training:
                each.training = True
        q, maps = features.q.float().cpu(), features.maps.float().cpu()
        temperature: float = module.walk.temperature
        pictures = self.normalization.undo(clips.unflatten(2, (-1, 3)).float())  # [B, T, N, 3, h, w]
        nodes = pictures.shape[2]
        shape = grid_shape(nodes) if nodes > 1 else (maps.shape[-2], maps.shape[-1])
        frames = [_mosaic(pictures[0, t], shape) for t in range(2)]
        cells = [_mosaic(maps[0, t], shape) for t in range(2)]
        written = [
            save_figure(self.folder / "walk_pair.png", self._pair(q[0], frames, cells, shape, temperature)),
            save_figure(self.folder / "walk_cycle.png", self._cycle(q[0], frames[0], shape, temperature)),
        ]
        if nodes > 1:
            figure = self._neighbours(q, pictures.flatten(0, 2))
            return [*written, save_figure(self.folder / "walk_neighbours.png", figure)]
        start, end = (_shares(places, shape) for places in mutual_matches(q[0], shape))
        figure = draw_matches(frames, start, end, q.shape[-1])
        return [*written, save_figure(self.folder / "walk_matches.png", figure)]

    def _pair(
        self, q: Tensor, frames: list[np.ndarray], cells: list[np.ndarray], shape: tuple[int, int], temperature: float
    ) -> Any:
        colours = feature_colours(torch.from_numpy(np.stack(cells))).numpy()
        flow = argmax_flow(q, shape, temperature)
        steps = (_shares(flow.start, shape), _shares(flow.end, shape), flow.probability.numpy())
        return draw_pair(frames, list(colours), steps, shape, _thinned(shape, _ARROWS))

    def _cycle(self, q: Tensor, frame: np.ndarray, shape: tuple[int, int], temperature: float) -> Any:
        cycle = first_cycle(q, temperature)
        shown = _thinned(shape, _CYCLES)
        rows, loss = cycle.rows.numpy()[shown], cycle.loss.numpy()[shown]
        return draw_cycle(frame, rows, loss, cycle.hits, shape, shown)

    def _neighbours(self, q: Tensor, patches: Tensor) -> Any:
        generator = torch.Generator().manual_seed(self.seed)
        near = nearest_nodes(q, self.queries, self.neighbours, generator)
        images = patches.permute(0, 2, 3, 1).numpy()
        found = [[images[index] for index in row] for row in near.found.tolist()]
        return draw_neighbours([images[index] for index in near.queries.tolist()], found, near.similarity.numpy())


def _mosaic(nodes: Tensor, shape: tuple[int, int]) -> np.ndarray:
    """A frame from its nodes `[N, C, h, w]`: `[H, W, C]`. Patches overlap by half, so the middle of each is taken."""
    if len(nodes) > 1:
        height, width = nodes.shape[-2:]
        top, left = height // 4, width // 4
        nodes = nodes[..., top : max(top + 1, height - top), left : max(left + 1, width - left)]
        rows, columns = shape
        tiled = nodes.view(rows, columns, *nodes.shape[1:]).permute(0, 3, 1, 4, 2)
        return tiled.reshape(rows * nodes.shape[-2], columns * nodes.shape[-1], -1).numpy()
    return nodes[0].permute(1, 2, 0).numpy()


def _shares(places: Tensor, shape: tuple[int, int]) -> np.ndarray:
    """(row, column) of cells as shares (y, x) of the picture, their middles."""
    return ((places + 0.5) / torch.tensor(shape)).numpy()


def _thinned(shape: tuple[int, int], most: int) -> np.ndarray:
    """Indices of nodes on an even grid of at most `most` rows and columns, in row order."""
    rows, columns = (np.arange((side - 1) % -(-side // most) // 2, side, -(-side // most)) for side in shape)
    return (rows[:, None] * shape[1] + columns[None]).reshape(-1)
