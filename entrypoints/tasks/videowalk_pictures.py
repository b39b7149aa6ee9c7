"""Pictures of carried labels beside the true ones: moments of a sequence, a row each."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from entrypoints.tasks.videowalk_benchmarks import Content

if TYPE_CHECKING:
    import numpy as np

_MOMENTS, _HEIGHT = 6, 180
_TRUE, _CARRIED = (60, 220, 90), (250, 70, 70)


def masks_sheet(sequence: Any, folder: Path, title: str) -> "Callable[[], np.ndarray]":
    """Frames with the true masks above, with the carried ones below.

    Args:
        sequence: frames with masks.
        folder: of the carried masks.
        title: line above.
    """

    def paint() -> "np.ndarray":
        import numpy as np

        from components.media.frames import evenly_spaced
        from components.media.masks import read_mask
        from components.media.overlays import overlay_mask

        annotated = sequence.annotated()
        moments = [annotated[index] for index in evenly_spaced(len(annotated), _MOMENTS)]
        rows: list[list[np.ndarray]] = [[], []]
        for moment in moments:
            frame = sequence.frames.read(moment)
            carried = read_mask(folder / f"{sequence.frames.frames[moment].stem}.png").ids
            for row, ids in zip(rows, (sequence.ids(moment), carried), strict=True):
                row.append(_small(overlay_mask(frame, np.where(ids == 255, 0, ids))))
        captions = [*(f"frame {moment}, annotation" for moment in moments), *["carried"] * len(moments)]
        return _sheet(rows, captions, title)

    return paint


def joints_sheet(sequence: Any, content: Content, title: str) -> "Callable[[], np.ndarray]":
    """Frames with the carried joints (red) tied to the true ones (green)."""

    def paint() -> "np.ndarray":
        import numpy as np
        from PIL import Image, ImageDraw

        from components.media.frames import evenly_spaced

        carried = np.array(content["joints"])
        moments = [int(index) for index in evenly_spaced(len(sequence), _MOMENTS)]
        row = []
        for moment in moments:
            frame = sequence.frames.read(moment)
            picture = Image.fromarray(frame)
            scale = _HEIGHT * 3 // 2 / picture.height
            picture = picture.resize((round(picture.width * scale), _HEIGHT * 3 // 2))
            draw = ImageDraw.Draw(picture)
            for true, found in zip(
                sequence.joints[:, :, moment].T * scale, carried[:, :, moment].T * scale, strict=True
            ):
                if found[0] >= 0:
                    draw.line([*true, *found], fill=(255, 255, 255), width=2)
                    draw.circle(tuple(found), 4, fill=_CARRIED)
                draw.circle(tuple(true), 3, fill=_TRUE)
            row.append(np.asarray(picture))
        return _sheet([row], [f"frame {moment}" for moment in moments], title)

    return paint


def _sheet(rows: "list[list[np.ndarray]]", captions: list[str], title: str) -> "np.ndarray":
    from components.media.pictures import image_grid

    return image_grid([image for row in rows for image in row], len(rows[0]), captions, title, caption_size=13)


def _small(image: "np.ndarray") -> "np.ndarray":
    import numpy as np
    from PIL import Image

    picture = Image.fromarray(image)
    width = max(1, round(picture.width * _HEIGHT / picture.height))
    return np.asarray(picture.resize((width, _HEIGHT), Image.Resampling.LANCZOS))
