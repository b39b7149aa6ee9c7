import contextlib

import pytest
import torch

from components.keypoints.heatmaps import HeatmapVolume
from components.keypoints.skeletons import KeypointSkeleton
from lightning_modules.skeletonclip.alignment import frame_weights
from lightning_modules.skeletonclip.zero_shot import ZeroShotClassifier
from tests.lightning_modules.skeletonclip.tiny import JOINTS, SIDE, TIME, tiny_module

SKELETON = KeypointSkeleton("three", ("a", "b", "c"), ((0, 1), (0, 2)), (1,), (2,), (0,), (1,))


def sample(samples=2, clips=3):
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(samples, clips, 1, TIME, JOINTS, 2, generator=generator) * SIDE
    return points, torch.rand(samples, clips, 1, TIME, JOINTS, generator=generator)


def module(**settings):
    torch.manual_seed(0)
    return tiny_module(**{"objective": "all_class", "pooling": "text_weighted", **settings}).eval()


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("pooling", ["text_weighted", "mean_then_embed"])
def test_scores_are_those_of_an_evaluation_whatever_the_portions(double, pooling):
    points, scores = sample()
    net, volume = module(pooling=pooling), HeatmapVolume("keypoint", SKELETON, double=double)
    expected = net.clip_scores(volume(points, scores, (SIDE, SIDE)))
    for chunk in (1, 4, 100):
        found = ZeroShotClassifier(net, volume, SIDE, chunk, calibrated=False)(points, scores)
        torch.testing.assert_close(found.probabilities, expected)
        torch.testing.assert_close(found.similarities, net.clip_cosines(volume(points, scores, (SIDE, SIDE))).mean(1))


def test_calibrated_probabilities_use_the_temperature():
    points, scores = sample()
    net, volume = module(), HeatmapVolume("keypoint", SKELETON)
    found = ZeroShotClassifier(net, volume, SIDE)(points, scores).probabilities
    cosines = net.clip_cosines(volume(points, scores, (SIDE, SIDE)))
    torch.testing.assert_close(found, (cosines / net.net.temp).softmax(-1).mean(1))
    assert (found.amax(1) > ZeroShotClassifier(net, volume, SIDE, 9, False)(points, scores).probabilities.amax(1)).all()


def test_attention_is_that_of_the_best_text():
    points, scores = sample()
    net, volume = module(), HeatmapVolume("keypoint", SKELETON, double=True)
    found = ZeroShotClassifier(net, volume, SIDE, 4)(points, scores)
    assert found.attention is not None
    assert found.attention.shape == (2, 3, TIME)
    imgs = volume(points, scores, (SIDE, SIDE))  # plain clips first, then mirrored ones
    frames = net.net.embed(net.net.video_encoder(imgs.flatten(0, 1)))
    texts = net.class_features()[found.probabilities.argmax(1)].repeat_interleave(6, 0)
    weights = frame_weights(frames, texts, net.net.alignment, own=True).view(2, 2, 3, TIME).mean(1)
    torch.testing.assert_close(found.attention, weights)
    assert ZeroShotClassifier(net, volume, SIDE)(points, scores, attention=False).attention is None
    assert ZeroShotClassifier(module(pooling="embed_then_mean"), volume, SIDE)(points, scores).attention is None


def test_stages_are_timed_and_other_texts_need_no_training():
    points, scores = sample()
    stages = []

    @contextlib.contextmanager
    def timed(stage):
        stages.append(stage)
        yield

    net = module().with_texts(["fly", ["swim", "dive"]])
    found = ZeroShotClassifier(net, HeatmapVolume("keypoint", SKELETON), SIDE, timed=timed)(points, scores)
    assert found.probabilities.shape == (2, 2)
    assert set(stages) == {"text encoder", "heatmaps", "video encoder", "scores"}
