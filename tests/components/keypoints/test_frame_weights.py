import numpy as np

from components.keypoints.frame_weights import spread_weights


def test_features_stand_for_their_frames_and_gaps_for_neighbours():
    weights = np.array([[1.0, 3.0]])
    spread = spread_weights(weights, np.array([0, 1, 4, 5]), 6)
    np.testing.assert_allclose(spread / spread[0], [1, 1, 1 + 2 / 3, 1 + 4 / 3, 3, 3])
    assert np.isclose(spread.mean(), 1)


def test_clips_count_by_their_shares():
    # The second clip's weights are a hundred times larger, its shares are the first one's turned round.
    spread = spread_weights(np.array([[1.0, 3.0], [300.0, 100.0]]), np.array([0, 1, 0, 1]), 2)
    np.testing.assert_allclose(spread, [1, 1])
    assert np.isfinite(spread_weights(np.zeros((1, 2)), np.array([0, 1]), 2)).all()
