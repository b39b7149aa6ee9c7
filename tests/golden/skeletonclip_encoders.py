"""Golden cases of the video encoder and the text encoder."""

from collections.abc import Callable
from typing import Any

from lightning_modules.skeletonclip.networks.slowonly import ResNet3dSlowOnly
from lightning_modules.skeletonclip.networks.video_encoder import VideoEncoder
from tests.golden.harness import Case, named_weights


def backbone(config: dict[str, Any]) -> ResNet3dSlowOnly:
    """Our backbone with the sizes of a published config."""
    assert config["out_indices"] == [config["num_stages"] - 1]
    published = {key: value for key, value in config.items() if key not in ("num_stages", "out_indices")}
    return ResNet3dSlowOnly(**published)


def slowonly_forward(case: Case) -> None:
    keys = case.meta["state_keys"]
    net = backbone(case.meta["config"]).eval()
    net.load_state_dict(case.weights(), strict=True)
    assert list(net.state_dict()) == [name for name, _ in keys]
    x = case.tensor("in/x").requires_grad_()
    out = net(x)
    case.check("out/eval", out)
    assert case.meta["loss"] == "mean(out/eval ** 2)"
    out.square().mean().backward()
    gradients = {name: value.grad for name, value in net.named_parameters()} | {"x": x.grad}
    names = case.names("grad/")
    assert names
    for name in names:
        case.check(name, gradients[name.removeprefix("grad/")])
    net.train()
    case.check("out/train_bn", net(x))
    state = net.state_dict()
    for name in case.names("out/train_bn/"):
        case.check(name, state[name.removeprefix("out/train_bn/")])
    wrapped = [(f"resnet.{name}", shape) for name, shape in keys]
    extra = case.meta["state_keys_visece_video_extra"]
    for output, more, width in (("visece_video_pacl", [], None), ("visece_video", extra, extra[0][1][0])):
        encoder = VideoEncoder(backbone(case.meta["config"]), width).eval()
        encoder.load_state_dict(named_weights(case.meta | {"state_keys": wrapped + more}), strict=True)
        case.check(f"out/{output}", encoder(case.tensor("in/x")))


HANDLERS: dict[str, Callable[[Case], None]] = {
    "slowonly_forward": slowonly_forward,
}
