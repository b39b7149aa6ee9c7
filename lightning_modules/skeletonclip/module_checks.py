"""Which settings of `SkeletonClipModule` fit together, and which data they can learn from."""

from typing import Any

from components.errors import InputError
from lightning_modules.skeletonclip.recognizer import SkeletonClip


def check_settings(objective: str, gather: bool, matching: Any, momentum: Any, clip_chunk: int | None) -> None:
    """Raise an `InputError` for settings of `SkeletonClipModule` that are out of range or exclude each other."""
    if objective not in ("in_batch", "all_class"):
        raise InputError(f"model.objective='{objective}' is not one of in_batch, all_class")
    if objective == "all_class":
        for key, value in (("gather", gather or None), ("matching", matching), ("momentum", momentum)):
            if value is not None:
                raise InputError(
                    f"model.{key} belongs to model.objective=in_batch; all_class compares with all class texts.\n"
                    f"Set model.objective=in_batch, or leave model.{key} out"
                )
    if clip_chunk is not None and clip_chunk < 1:
        raise InputError(f"model.clip_chunk={clip_chunk} must be at least 1, or null for all clips of a batch")


def check_vocabulary(tokenizer: Any, text_encoder: Any) -> None:
    """Raise where the text encoder was trained with another vocabulary, or has no embedding for a token."""
    read, known = (getattr(each, "source", None) for each in (tokenizer, text_encoder))
    if known not in (None, "random") and read is not None and read != known:
        raise InputError(
            f"model.tokenizer.source={read}, but model.text_encoder.source={known} knows its own vocabulary alone.\n"
            f"Set model.tokenizer.source={known}"
        )
    words, rows = (getattr(each, "vocab_size", None) for each in (tokenizer, text_encoder))
    if words is not None and rows is not None and words > rows:
        raise InputError(
            f"model.tokenizer has {words} tokens, the text encoder's embeddings are for {rows}.\n"
            f"Give both the same source, or set model.text_encoder.vocab_size={words} where its source is random"
        )


def check_training(data: Any, objective: str = "all_class", others: bool = False) -> None:
    """Raise where batches of these data can teach nothing.

    Args:
        data: the data module; what it does not tell is not checked.
        objective: of the module.
        others: a sample is compared with more than its batch: other ranks or a queue.
    """
    labels = getattr(data, "labels", None)
    classes = len(set(labels("train").tolist())) if callable(labels) else None
    if classes == 1:
        raise InputError(
            "all training clips are of one class: there is nothing to tell it from.\n"
            "Choose a data.train_split with two classes or more"
        )
    batch_size = getattr(data, "batch_size", None)
    if objective == "in_batch" and batch_size == 1 and not others:
        raise InputError(
            "data.batch_size=1: model.objective=in_batch compares the clips and texts of a batch with one another.\n"
            "Set data.batch_size to 2 or more (the published one is 16)"
        )


def width_of_pairs(net: SkeletonClip) -> int:
    """Width of what a text encoder says of a text and a clip; raises where it cannot look at these clips."""
    video, text = net.video_encoder.width, net.text_encoder.width
    expected = getattr(net.text_encoder, "encoder_width", text)
    if not getattr(net.text_encoder, "cross_attention", True):
        raise InputError(
            "model.matching needs a text encoder that looks at clips: set model.text_encoder.cross_attention=true"
        )
    if video != expected:
        raise InputError(
            f"model.matching reads clips of width {video} with a text encoder that expects {expected}.\n"
            f"Set model.video_encoder.bottleneck_dim={expected}"
        )
    return int(text)
