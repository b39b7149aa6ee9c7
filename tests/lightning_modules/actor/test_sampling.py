import pytest
import torch

from components.body.pose_format import PoseFormat
from components.errors import InputError
from entrypoints.runs import build_module
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.sampling import MotionRequest, SampledMotion, file_name, sample_motions
from tests.entrypoints.actor_run import NAMES, actor_config


@pytest.fixture(scope="module")
def net() -> ActorCVAE:
    torch.manual_seed(0)
    return build_module(actor_config()).net


def sample(net: ActorCVAE, *actions: str, **request: object) -> list[SampledMotion]:
    settings = {"durations": [4], **request}
    return sample_motions(net, MotionRequest(actions, **settings), NAMES, PoseFormat(translation=False), 20.0)  # type: ignore[arg-type]


def test_samples_of_an_action_follow_each_other(net: ActorCVAE) -> None:
    made = sample(net, "walk+drink", "run", num_samples=2)
    assert [each.name for each in made] == ["walk+drink_0", "walk+drink_1", "run_0", "run_1"]
    assert made[0].motion.in_place
    assert (made[0].motion.action, made[0].motion.second_action) == ("walk", "drink")
    assert made[2].caption == "run  (1)"


def test_every_action_comes_in_every_duration(net: ActorCVAE) -> None:
    made = sample(net, "walk", "run", durations=[3, 5])
    assert [(each.name, len(each.motion.poses)) for each in made] == [
        ("walk_3f_0", 3), ("walk_5f_0", 5), ("run_3f_0", 3), ("run_5f_0", 5),
    ]  # fmt: skip


def test_the_same_latent_for_all_lengths_on_request(net: ActorCVAE) -> None:
    short, long = sample(net, "walk", durations=[3, 5], noise_diff_action="same")
    assert torch.equal(short.z, long.z)


def test_an_action_named_twice_comes_once(net: ActorCVAE) -> None:
    assert [each.group for each in sample(net, "walk", "walk+walk", "Walk")] == ["walk"]


def test_latents_are_interpolated_from_end_to_end(net: ActorCVAE) -> None:
    made = sample(net, "walk", num_samples=5, interpolate="latents")
    z = torch.stack([each.z for each in made])
    assert not torch.allclose(z[0], z[-1])
    steps = z.diff(dim=0).norm(dim=1)
    assert steps.max() < 0.6 * (z[-1] - z[0]).norm()


def test_actions_are_interpolated_from_one_to_the_next(net: ActorCVAE) -> None:
    made = sample(net, "walk", "run+drink", "sit", num_samples=3, interpolate="actions")
    assert [each.group for each in made] == ["walk_to_run+drink"] * 3 + ["run+drink_to_sit"] * 3
    assert torch.equal(made[0].z, made[2].z)
    (alone,) = sample(net, "walk", num_samples=1)
    # Both draw the same latent here, and the way starts with the pure action.
    assert torch.equal(alone.z, sample(net, "walk", "run", num_samples=3, interpolate="actions")[0].z)
    torch.testing.assert_close(
        alone.motion.poses, sample(net, "walk", "run", num_samples=3, interpolate="actions")[0].motion.poses
    )


def test_a_way_needs_two_ends(net: ActorCVAE) -> None:
    with pytest.raises(InputError, match="name at least two"):
        sample(net, "walk", interpolate="actions")


def test_durations_out_of_range(net: ActorCVAE) -> None:
    with pytest.raises(InputError, match="duration=0"):
        sample(net, "walk", durations=[0])
    with pytest.raises(InputError, match="duration=99999"):
        sample(net, "walk", durations=[99999])


def test_many_rows_are_decoded_in_parts(net: ActorCVAE) -> None:
    many = sample(net, "walk", num_samples=70)
    assert len(many) == 70
    assert len({each.name for each in many}) == 70
    z = torch.stack([each.z for each in many])
    again = sample(net, "walk", num_samples=70)
    torch.testing.assert_close(again[69].motion.poses, many[69].motion.poses)
    assert not torch.equal(z[0], z[69])


@pytest.mark.parametrize(
    ("title", "name"),
    [("walk+drink", "walk+drink"), ("kick / punch", "kick_punch"), ("../up", "up"), ("日本", "日本"), ("?", "motion")],
)
def test_file_names(title: str, name: str) -> None:
    assert file_name(title) == name


def test_the_share_of_the_first_action() -> None:
    config = actor_config()
    config["model"]["net"]["alpha_embedding"] = True
    told = build_module(config).net
    with torch.no_grad():
        torch.nn.init.normal_(told.decoder.alpha_film.modulation.weight)

    def poses(alpha: float | None) -> list[torch.Tensor]:
        return [each.motion.poses for each in sample(told, "walk", "walk+drink", alpha=alpha)]

    low, high, half, default = poses(0.1), poses(0.9), poses(0.5), poses(None)
    assert torch.equal(low[0], high[0])  # of a single action the share is 1
    assert not torch.allclose(low[1], high[1], atol=1e-3)
    assert torch.equal(half[1], default[1])


def test_a_share_for_a_model_that_knows_none(net: ActorCVAE) -> None:
    with pytest.raises(InputError, match="alpha_embedding=true"):
        sample(net, "walk+drink", alpha=0.3)
