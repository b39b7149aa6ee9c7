"""Golden cases of the video encoder and the text encoder."""

from collections.abc import Callable
from typing import Any

import torch

from lightning_modules.skeletonclip.networks.slowonly import ResNet3dSlowOnly
from lightning_modules.skeletonclip.networks.text_encoder import TextEncoder
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


def text_encoder(config: dict[str, Any]) -> TextEncoder:
    """Our text encoder with the sizes of a published config."""
    assert config["hidden_act"] == "gelu"
    assert config["layer_norm_eps"] == 1e-12
    assert config["hidden_dropout_prob"] == config["attention_probs_dropout_prob"]
    return TextEncoder(
        "random",
        config["vocab_size"],
        config["hidden_size"],
        config["num_hidden_layers"],
        config["num_attention_heads"],
        config["intermediate_size"],
        config["max_position_embeddings"],
        config["hidden_dropout_prob"],
        cross_attention=config["add_cross_attention"],
        encoder_width=config["encoder_width"],
    )


def bert(case: Case) -> None:
    encoder = text_encoder(case.meta["config"]).eval()
    weights = case.weights()
    weights.pop("embeddings.position_ids", None)  # a table, named among the constants in words only
    encoder.load_state_dict(weights, strict=True)
    assert list(encoder.state_dict()) == list(weights)
    ids, mask = case.tensor("in/input_ids"), case.tensor("in/attention_mask")
    if "in/encoder_hidden_states" in case.arrays:
        video = case.tensor("in/encoder_hidden_states").requires_grad_()
        hidden = encoder.hidden_states(ids, mask, video, case.tensor("in/encoder_attention_mask"))
        torch.testing.assert_close(
            hidden[:, 0], encoder.match(ids, mask, video, case.tensor("in/encoder_attention_mask"))
        )
    else:
        video = None
        hidden = encoder.hidden_states(ids, mask)
        torch.testing.assert_close(hidden[:, 0], encoder.encode(ids, mask))
    case.check("out/last_hidden_state", hidden)
    assert case.meta["loss"] == "sum over batch of last_hidden_state[:,0] . linspace(-1,1,hidden)"
    (hidden[:, 0] @ torch.linspace(-1, 1, hidden.shape[-1])).sum().backward()
    gradients = {name: value.grad for name, value in encoder.named_parameters()}
    gradients["encoder_hidden_states"] = None if video is None else video.grad
    names = case.names("grad/")
    assert names
    for name in names:
        case.check(name, gradients[name.removeprefix("grad/")])


HANDLERS: dict[str, Callable[[Case], None]] = {
    "slowonly_forward": slowonly_forward,
    "bert_text": bert,
    "bert_multimodal": bert,
}
