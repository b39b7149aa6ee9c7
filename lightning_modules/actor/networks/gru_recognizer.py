"""The GRU recogniser of Action2Motion (Guo et al. 2020), which ACTOR is judged with on HumanAct12 and NTU13."""

import torch
from torch import Tensor, nn

from components.errors import InputError
from datamodules.actor.batch import frame_mask
from lightning_modules.actor.networks.recognition import Recognition


class GRURecognizer(nn.Module):
    """Reads positions frame by frame; the state after the last real frame gives the features.

    The published code draws the first hidden state from a normal distribution at every call, so its figures change from
    call to call. Here evaluation starts from zero unless a state is given: equal motions have equal features. Training
    may draw it (`start_std`), which makes the network forget where it started.

    Args:
        input_size: numbers of one frame, 3 * points (72 for the 24 SMPL joints, 54 for the 18 of `a2m`).
        hidden_size: width of the recurrent layers, H.
        num_layers: recurrent layers, L.
        feature_size: width of the features, D.
        num_classes: C.
        dropout: probability between the layers and before the features, in [0, 1); 0 as published.
        start_std: standard deviation of the first hidden state while training (published: 1); 0 starts from zero.

    Raises:
        InputError: a size out of range.
    """

    def __init__(
        self,
        input_size: int = 72,
        hidden_size: int = 128,
        num_layers: int = 2,
        feature_size: int = 30,
        num_classes: int = 12,
        dropout: float = 0.0,
        start_std: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers}
        for key, value in (sizes | {"feature_size": feature_size, "num_classes": num_classes}).items():
            if value < 1:
                raise InputError(f"model.net.{key}={value} must be at least 1")
        if not 0.0 <= dropout < 1.0:
            raise InputError(f"model.net.dropout={dropout} must lie in [0, 1)")
        if start_std < 0:
            raise InputError(f"model.net.start_std={start_std} must be at least 0")
        self.input_size = input_size
        self.start_std = start_std
        # One layer has no place between layers, and torch warns about a probability there.
        between = dropout if num_layers > 1 else 0.0
        self.gru = nn.GRU(input_size, hidden_size, num_layers, batch_first=True, dropout=between)
        self.dropout = nn.Dropout(dropout)
        self.feature_head = nn.Linear(hidden_size, feature_size)
        self.class_head = nn.Linear(feature_size, num_classes)

    def forward(self, points: Tensor, lengths: Tensor, hidden: Tensor | None = None) -> Recognition:
        """Recognise motions.

        Args:
            points: `[B, J, 3, T]` positions, metres; frames from `lengths` on have no influence.
            lengths: `[B]` real frames, 1..T.
            hidden: `[L, B, H]` first hidden state; None = zero, drawn in training with `start_std`.

        Returns:
            Features `[B, D]` in (-1, 1) and logits `[B, C]`.

        Raises:
            ValueError: the points do not fill `input_size`.
        """
        if points.shape[1] * points.shape[2] != self.input_size:
            raise ValueError(
                f"points of shape {tuple(points.shape)} have {points.shape[1] * points.shape[2]} numbers per frame; "
                f"this recogniser reads {self.input_size}"
            )
        # Padding comes after the real frames, so the state after the last real one never saw it; it is zeroed all the
        # same, as a NaN there would reach the gradient.
        padding = ~frame_mask(lengths, points.shape[-1])
        frames = points.permute(0, 3, 1, 2).flatten(2).masked_fill(padding[:, :, None], 0.0)  # batch frames numbers
        if hidden is None and self.training and self.start_std > 0:
            shape = (self.gru.num_layers, len(frames), self.gru.hidden_size)
            hidden = self.start_std * torch.randn(shape, device=frames.device, dtype=frames.dtype)
        states, _ = self.gru(frames, hidden)
        last = states[torch.arange(len(states), device=states.device), lengths - 1]
        features = torch.tanh(self.feature_head(self.dropout(last)))
        return Recognition(features, self.class_head(features))
