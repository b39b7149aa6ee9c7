"""Pictures of what a model of motions generates, while it trains."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from lightning.pytorch import LightningModule, Trainer

from callbacks.periodic_pictures import PeriodicPictures
from components.body.loader import load_body
from components.errors import InputError
from components.rendering.motion_gallery import GalleryItem, write_film_sheet, write_still_rows
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.sampling import MotionRequest, sample_motions


class MotionPictures(PeriodicPictures):
    """Writes `figures/samples.png`, a row of moments for each action, and `videos/samples.mp4`, where they move.

    Motions come from the same latents every time.

    The draw has a generator of its own, so pictures do not change the training.

    Args:
        run_dir: the picture goes to its `figures`.
        actions: names, or two joined by `+`; None = the first `max_actions` of the data.
        every_n_epochs: epochs between two pictures; 0 = at the end of the fit only.
        max_actions: rows at most.
        size: height of a row, pixels.
        film: write the video too.
        seed: of the latents.
        body: the user's SMPL file; None = the packaged body.

    Raises:
        InputError: a value is out of range.
    """

    subject = "pictures of generated motions"

    def __init__(
        self,
        run_dir: str,
        actions: Sequence[str] | None = None,
        every_n_epochs: int = 0,
        max_actions: int = 12,
        size: int = 160,
        film: bool = True,
        seed: int = 0,
        body: str | None = None,
    ) -> None:
        if every_n_epochs < 0:
            raise InputError(f"callbacks.motion_pictures.every_n_epochs={every_n_epochs} must be at least 0")
        if max_actions < 1:
            raise InputError(f"callbacks.motion_pictures.max_actions={max_actions} must be at least 1")
        if not 32 <= size <= 1024:
            raise InputError(f"callbacks.motion_pictures.size={size} must lie in 32..1024 pixels")
        super().__init__(every_n_epochs)
        self.file = Path(run_dir) / "figures" / "samples.png"
        self.film = Path(run_dir) / "videos" / "samples.mp4" if film else None
        self.actions = None if actions is None else list(actions)
        self.max_actions = max_actions
        self.size = size
        self.seed = seed
        self.body = body

    def draw_now(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.draw(pl_module, trainer.datamodule)  # type: ignore[attr-defined]

    @torch.no_grad()
    def draw(self, pl_module: LightningModule, datamodule: object) -> Path:
        """Generate and write; returns the picture.

        Args:
            pl_module: has the network as `net`.
            datamodule: knows `action_names`, `pose_format` and `fps`.

        Raises:
            InputError: unknown actions, or the file cannot be written.
        """
        names: Sequence[str] = datamodule.action_names  # type: ignore[attr-defined]
        wanted = self.actions if self.actions is not None else list(names[: self.max_actions])
        net = cast(ActorCVAE, pl_module.net)
        request = MotionRequest(wanted, [net.sizes.usual_frames], seed=self.seed)
        sampled = sample_motions(net, request, names, datamodule.pose_format, datamodule.fps)  # type: ignore[attr-defined]
        items = [GalleryItem(each.group, each.caption, each.motion) for each in sampled]
        body = load_body(self.body)
        picture = write_still_rows(self.file, items, body, self.size)
        if self.film is not None:
            write_film_sheet(self.film, items, body, self.size)
        return picture
