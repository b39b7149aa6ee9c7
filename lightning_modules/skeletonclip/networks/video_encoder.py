"""From heatmap volumes to one feature per time step (published as `Visece_Video` and `Visece_Video_PACL`)."""

from torch import Tensor, nn

from components.errors import InputError
from lightning_modules.skeletonclip.networks.slowonly import ResNet3dSlowOnly


class VideoEncoder(nn.Module):
    """Backbone, mean over space, and a linear layer if wanted.

    Time gets shorter inside: with the published strides 48 frames become 24 features.

    Args:
        resnet: the backbone.
        bottleneck_dim: width of the linear layer behind the mean (published: 768 for Visece, ITM and momentum); None =
            none (PACL and the variants without it).
        checkpoint: weights that the training starts from, see `ResNet3dSlowOnly`; of a published recogniser `linear` is
            taken over too where its shape is this one's. None = random.

    Attributes:
        width: D, of a feature.

    Raises:
        InputError: a width below 1, or a file that does not fit.
    """

    def __init__(
        self, resnet: ResNet3dSlowOnly, bottleneck_dim: int | None = None, checkpoint: str | None = None
    ) -> None:
        super().__init__()
        if bottleneck_dim is not None and bottleneck_dim < 1:
            raise InputError(f"model.video_encoder.bottleneck_dim={bottleneck_dim}: expected at least 1, or null")
        self.resnet = resnet
        self.linear = None if bottleneck_dim is None else nn.Linear(resnet.channels, bottleneck_dim)
        self.width = resnet.channels if bottleneck_dim is None else bottleneck_dim
        if checkpoint is not None:
            from lightning_modules.skeletonclip.networks.video_weights import load_encoder

            load_encoder(self, checkpoint, "model.video_encoder.checkpoint")

    def forward(self, volumes: Tensor) -> Tensor:
        """Heatmap volumes `[B, V, T, H, W]` to frame features `[B, T', D]`."""
        features = self.resnet(volumes).mean(dim=(-2, -1)).transpose(1, 2)
        return features if self.linear is None else self.linear(features)
