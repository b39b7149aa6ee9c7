"""The plain collate."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from datamodules.actor.collate import collate_motions


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_padding_and_mask(lengths):
    items = [
        {"motion": torch.full((2, 3, length), row + 1.0), "action": row, "seed": 0}
        for row, length in enumerate(lengths)
    ]
    batch = collate_motions(items)
    assert batch["motion"].shape == (len(lengths), 2, 3, max(lengths))
    assert batch["lengths"].tolist() == lengths
    for row, length in enumerate(lengths):
        assert batch["mask"][row].tolist() == [frame < length for frame in range(max(lengths))]
        assert (batch["motion"][row, ..., :length] == row + 1).all()
        assert (batch["motion"][row, ..., length:] == 0).all()
    assert batch["action"].tolist() == batch["second_action"].tolist() == list(range(len(lengths)))
    assert batch["mix_alpha"].tolist() == [1.0] * len(lengths)
    assert batch["mask"].dtype == torch.bool
    assert {batch[key].dtype for key in ("lengths", "action", "second_action")} == {torch.int64}
