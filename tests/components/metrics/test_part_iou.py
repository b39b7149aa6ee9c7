import numpy as np
import pytest

from components.errors import InputError
from components.metrics.part_iou import PartIoU


def test_classes_that_are_nowhere_do_not_count() -> None:
    score = PartIoU(4)
    truth = np.array([[0, 0, 1, 1]])
    score.update(truth, np.array([[0, 2, 1, 1]]))
    scores = score.scores()
    assert scores.iou[:3].tolist() == [0.5, 1, 0]  # class 2 is predicted and never there
    assert np.isnan(scores.iou[3])
    assert scores.mean_iou == pytest.approx(0.5)
    assert scores.overall_accuracy == 0.75
    assert scores.mean_accuracy == 0.75
    assert scores.frequency_weighted_iou == 0.75


def test_void_pixels_are_left_out_and_strange_predictions_refused() -> None:
    score = PartIoU(2)
    score.update(np.array([[0, 255]], dtype=np.uint8), np.array([[0, 1]], dtype=np.uint8))
    assert score.confusion.tolist() == [[1, 0], [0, 0]]
    with pytest.raises(InputError, match="id 7; expected 0 to 1"):
        score.update(np.array([[0]]), np.array([[7]]))
    with pytest.raises(InputError, match="shape"):
        score.update(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(InputError, match="no pixel"):
        PartIoU(2).scores()
