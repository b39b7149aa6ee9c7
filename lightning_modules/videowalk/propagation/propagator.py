"""Label propagation over a stream of feature maps (CRW, section 4; appendix on implementation)."""

from collections.abc import Iterable, Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.videowalk.propagation.search import Matches, WindowSearch, full_search, merge
from lightning_modules.videowalk.propagation.settings import PropagationSettings
from lightning_modules.videowalk.propagation.source_bank import SourceBank, sources_of


class LabelPropagator:
    """Carries labels of frame 0 through a video, one frame at a time.

    The labels of a cell are the mean of the labels of its `topk` most similar source cells, weighted by the softmax of
    their affinities. Sources are the last `context` frames within `radius`, and the frames of the long memory. Memory
    does not grow with the number of frames.

    Args:
        settings: see there.
        storage: type in which features of past frames are kept; `bfloat16` or `float16` halve the memory and round the
            features to 8 or 11 bits.
    """

    def __init__(
        self,
        settings: PropagationSettings | None = None,
        storage: Literal["float32", "float16", "bfloat16"] = "float32",
    ) -> None:
        self.settings = settings or PropagationSettings()
        self.storage: torch.dtype = getattr(torch, storage)

    @torch.no_grad()
    def run(self, features: Iterable[Tensor], labels0: Tensor) -> Iterator[Tensor]:
        """Propagate.

        Args:
            features: `[C, h, w]` of every frame, frame 0 included; read one at a time.
            labels0: labels of frame 0, `[L, h, w]`, e.g. the share of each object in the cell.

        Yields:
            Labels `[L, h, w]`, float32, of every frame; those of frame 0 are the given ones.

        Raises:
            ValueError: feature maps and labels of different height and width.
        """
        labels0 = labels0.float()
        state: PropagationState | None = None
        for frame, raw in enumerate(features):
            if raw.shape[1:] != labels0.shape[1:]:
                raise ValueError(
                    f"features {list(raw.shape)} of frame {frame} do not fit labels {list(labels0.shape)}: "
                    "height and width differ"
                )
            cells = raw.float().flatten(1)
            # Cells as rows, so that products read along the channels.
            cells = (F.normalize(cells, dim=0) if self.settings.normalize else cells).t().contiguous()
            if state is None:
                state = PropagationState(self.settings, labels0.to(raw.device), raw.shape[0], self.storage)
            labels = state.labels_of(frame, cells)
            yield self._output(labels).t().reshape(labels0.shape)

    def _output(self, labels: Tensor) -> Tensor:
        return normalized(labels, dim=1) if self.settings.norm_mask else labels


def normalized(labels: Tensor, dim: int) -> Tensor:
    """(x - min) / max of that over the labels of a cell; zero where all are equal."""
    shifted = labels - labels.amin(dim, keepdim=True)
    peak = shifted.amax(dim, keepdim=True)
    return shifted / peak.where(peak > 0, peak.new_ones(()))


class PropagationState:
    """What is known of one video so far.

    Args:
        settings: of the propagation.
        labels0: `[L, h, w]`, on the device of the features.
        channels: of the features.
        storage: type of stored features.
    """

    def __init__(self, settings: PropagationSettings, labels0: Tensor, channels: int, storage: torch.dtype) -> None:
        count, height, width = labels0.shape
        self.settings = settings
        self.labels0 = labels0.flatten(1).t().contiguous()
        self.bank = SourceBank(settings, (height, width), channels, count, storage, labels0.device)
        self.window = None
        if settings.radius is not None:
            self.window = WindowSearch((height, width), settings.radius, settings.topk, labels0.device)

    def labels_of(self, frame: int, cells: Tensor) -> Tensor:
        """Labels `[h * w, L]` of the next frame with features `[h * w, C]`, which then is a source itself."""
        if frame == 0:
            also = self.settings.published_long_memory and self.settings.norm_mask
            self.bank.add(0, cells, self.labels0, normalized(self.labels0, dim=1) if also else None)
            return self.labels0
        labels = self.vote(frame, cells)
        self.bank.add(frame, cells, labels)
        return labels

    def vote(self, frame: int, cells: Tensor) -> Tensor:
        """Labels `[h * w, L]` that the sources give to a frame from 1 on; nothing is stored."""
        sources = sources_of(frame, self.settings)
        counts = torch.ones(self.bank.context + len(self.bank.entries), dtype=torch.long, device=cells.device)
        found = [self._recent(cells)]
        for source, copies in sources.recent.items():
            counts[source % self.bank.context] = copies
        for source, copies in sources.remembered.items():
            entry = self.bank.entries[source]
            values, index = full_search(cells, iter([self.bank.remembered(source)]), self.settings.topk)
            found.append(Matches(values, index + entry * self.bank.cells))
            counts[entry] = copies
        values, index = merge(*found)
        # A frame that stands for several takes as many of the k places, as far as there are any left.
        often = counts[index // self.bank.cells]
        taken = (self.settings.topk - (often.cumsum(0) - often)).clamp(min=0).minimum(often)
        weights = torch.softmax(values / self.settings.temperature + taken.log(), dim=0)
        votes = self.bank.labels[index]  # [k, h * w, L]
        return torch.einsum("kq,kql->ql", weights, votes)

    def _recent(self, cells: Tensor) -> Matches:
        if self.window is not None:
            return self.window(cells, self.bank.row, self.bank.filled)
        rows = (self.bank.row(y).flatten(0, 1) for y in range(self.bank.ring.shape[0]))
        values, index = full_search(cells, rows, self.settings.topk)
        slots = self.bank.filled
        return Matches(values, index % slots * self.bank.cells + index // slots)
