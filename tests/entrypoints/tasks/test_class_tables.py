import math

import pytest
import torch

from entrypoints.tasks.class_tables import class_rows


def test_precision_recall_and_f1_by_hand() -> None:
    counts = torch.tensor([[3, 1, 0, 0], [0, 2, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0]])
    rows = class_rows(counts, ["walk", "run", "sit", "eat"])
    assert rows[0][:5] == ["walk", 4, 3 / 5, 3 / 4, 2 * 3 / 9]
    assert rows[0][5] == "run"
    assert rows[1][:5] == ["run", 2, 2 / 3, 1.0, 4 / 5]
    assert rows[1][5] == "-"
    # Never recognised: no precision; F1 is 0.
    assert rows[2][1] == 2
    assert math.isnan(float(rows[2][2]))
    assert rows[2][3:] == [0.0, 0.0, "walk"]
    # Not in the split: left out of the means.
    assert all(math.isnan(float(value)) for value in rows[3][2:5])
    assert rows[4][:2] == ["all", 8]
    assert rows[4][2] == pytest.approx((3 / 5 + 2 / 3 + 0.0) / 3)
    assert rows[4][3] == (3 / 4 + 1.0 + 0.0) / 3
    assert rows[4][4] == (2 / 3 + 4 / 5 + 0.0) / 3
