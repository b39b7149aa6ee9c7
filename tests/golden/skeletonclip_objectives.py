"""Golden cases of the objectives: Visece, matching, momentum, PACL and Plus."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lightning_modules.skeletonclip.alignment import Alignment, align
from lightning_modules.skeletonclip.matching import Matching, Negatives, negative_weights
from lightning_modules.skeletonclip.module import SkeletonClipModule
from lightning_modules.skeletonclip.momentum import Momentum
from lightning_modules.skeletonclip.networks.video_encoder import VideoEncoder
from lightning_modules.skeletonclip.objectives import similarity
from tests.golden.harness import Case, named_weights
from tests.golden.skeletonclip_encoders import backbone, text_encoder

# Weighting and factor of the published expressions.
WEIGHTINGS: dict[str, dict[str, Any]] = {
    "softmax": {"weighting": "softmax", "scale": 1.0},
    "sigmoid10": {"weighting": "sigmoid", "scale": 10.0},
}


class RecordedTokens:
    """Stands for the tokenizer: the case's token ids by the number of the class."""

    def __init__(self, case: Case) -> None:
        self.ids, self.mask = case.tensor("in/class_input_ids"), case.tensor("in/class_attention_mask")
        self.enc_token_id = case.meta.get("enc_token_id", 0)

    def encode(self, texts: list[str]) -> SimpleNamespace:
        rows = [int(text) for text in texts]
        return SimpleNamespace(input_ids=self.ids[rows], attention_mask=self.mask[rows])


def close(case: Case, name: str, actual: Tensor) -> None:
    """Greatest error over the greatest value, as the cases of whole models state it; whole numbers exactly."""
    rules, expected = case.meta["compare"], case.tensor(name)
    assert rules["metric"] == "max|a-b| / max|b| per array"
    assert actual.shape == expected.shape, f"{case.name}:{name}: {tuple(actual.shape)}, not {tuple(expected.shape)}"
    if not expected.is_floating_point():
        assert rules["integers"] == "exact"
        assert torch.equal(actual.detach(), expected), f"{case.name}:{name}"
        return
    kind = "grad" if name.startswith("grad/") else "out"
    limit = rules["parameters_after_step"] if "step" in name and name.endswith((".weight", "/temp")) else rules[kind]
    if kind == "grad":
        limit = rules["grad"]
    error = float((actual.detach() - expected).abs().max() / expected.abs().max().clamp_min(1e-12))
    assert error <= limit, f"{case.name}:{name}: error {error:.2e}, allowed {limit}"


def build(case: Case, bottleneck: bool, text: dict[str, Any] | None = None, **settings: Any) -> SkeletonClipModule:
    config = case.meta["config"]
    width = config["output_channels"] if bottleneck else None
    module = SkeletonClipModule(
        VideoEncoder(backbone(config["video"]), width),
        text_encoder(config["bert"] | (text or {})),
        RecordedTokens(case),
        partial(torch.optim.SGD, lr=0.05),
        embed_dim=config["embed_dim"],
        texts=[str(label) for label in range(config["num_classes"])],
        **settings,
    )
    return module.eval()


def load(case: Case, module: SkeletonClipModule, keys: Any, variant: str | None = None) -> None:
    """The published state dict, strictly; what lies elsewhere in ours is put there."""
    state = named_weights(case.meta | {"state_keys": keys})
    prefix = "state/" if variant is None else f"state/{variant}/"
    state |= {name.removeprefix(prefix): case.tensor(name) for name in case.names(prefix)}
    state |= {name: torch.tensor(value) for name, value in case.meta["overrides"].items()}
    own = {"video_queue", "text_queue", "idx_queue", "ptr_queue"}
    head = {name: state.pop(name) for name in list(state) if name.startswith("itm_head.")}
    state = {
        name: value
        for name, value in state.items()
        if name not in own and not name.endswith("position_ids") and not _absent(module, name)
    }
    module.net.load_state_dict(state, strict=True)
    if module.matching is not None:
        module.matching.load_state_dict(head, strict=True)


def _absent(module: SkeletonClipModule, name: str) -> bool:
    """Cross-attention that only matching uses."""
    return ".crossattention." in name and not module.net.text_encoder.cross_attention


def gradients(case: Case, module: SkeletonClipModule, prefix: str) -> None:
    found = {name: each.grad for name, each in module.net.named_parameters()}
    if module.matching is not None:
        found |= {name: each.grad for name, each in module.matching.named_parameters()}
    names = case.names(prefix)
    assert names
    for name in names:
        gradient = found[name.removeprefix(prefix)]
        assert gradient is not None
        close(case, name, gradient)


def batch(case: Case, prefix: str = "in/", label: str = "label") -> Any:
    return {"imgs": case.tensor(f"{prefix}imgs"), "label": case.tensor(f"{prefix}{label}")}


def in_batch_similarity(module: SkeletonClipModule, inputs: Any) -> Tensor:
    frames = module.net.video_encoder(inputs["imgs"].flatten(0, 1))
    texts = module.class_features()[inputs["label"]]
    return similarity(module.net.pool(frames, texts), texts, module.net.temp)


VISECE: dict[str, dict[str, Any]] = {
    "original": {"bottleneck": True},
    "visecemod1": {"bottleneck": False, "embedder": "residual_mlp", "pooling": "embed_then_mean"},
    "visecemod2": {"bottleneck": False, "embedder": "residual_mlp", "pooling": "mean_then_embed"},
    "visecemod3": {"bottleneck": False, "pooling": "mean_then_embed"},
    "visecemod4": {"bottleneck": False, "pooling": "embed_then_mean"},
}
TEXT_ONLY = {"add_cross_attention": False}


def visece_loss(case: Case) -> None:
    assert set(case.meta["variants"]) == set(VISECE)
    for variant, settings in VISECE.items():
        module = build(case, text=TEXT_ONLY, **settings)
        load(case, module, case.meta["state_keys"][variant], variant)
        loss = module.compute_loss(batch(case))["loss"]
        loss.backward()
        close(case, f"out/{variant}/loss_cls", loss)
        close(case, f"out/{variant}/sim_i2t", in_batch_similarity(module, batch(case)))
        close(case, f"out/{variant}/test_scores", module.clip_scores(case.tensor("in/test_imgs"), 5))
        gradients(case, module, f"grad/{variant}/")


def itm_loss(case: Case) -> None:
    module = build(case, bottleneck=True, matching=Matching)
    load(case, module, case.meta["state_keys"])
    matching, inputs = module.matching, batch(case)
    assert matching is not None
    given = Negatives(case.tensor("in/neg_video_idx_for_text"), case.tensor("in/neg_text_idx_for_video"))
    labels = inputs["label"]
    similarities = in_batch_similarity(module, inputs)
    close(case, "out/weights_i2t", negative_weights(similarities, labels))
    close(case, "out/weights_t2i", negative_weights(similarities.T, labels))
    for weights in (negative_weights(similarities, labels), negative_weights(similarities.T, labels)):
        assert float(weights.sum(1).min()) > 0
    frames = module.net.video_encoder(inputs["imgs"].flatten(0, 1))
    pairs = matching.pairs(module.net.text_encoder, *module.texts.pair_tokens(labels), frames, given)
    close(case, "out/itm_embeddings", pairs)
    close(case, "out/itm_logits", matching.itm_head(pairs))
    matching.choose = lambda *_: given  # type: ignore[method-assign]
    terms = module.compute_loss(inputs)
    close(case, "out/loss_cls", terms["loss_cls"])
    close(case, "out/loss_itm", terms["loss_itm"])
    terms["loss"].backward()
    gradients(case, module, "grad/")
    same = module.compute_loss(batch(case, label="label_same"))
    close(case, "out/same_class/loss_cls", same["loss_cls"])
    close(case, "out/same_class/loss_itm", same["loss_itm"])


def momentum(case: Case) -> None:
    config = case.meta["config"]
    settings = {"queue_size": config["queue_size"], "decay": config["momentum"], "alpha": config["alpha"]}
    source = build(case, bottleneck=True, text=TEXT_ONLY)
    load(case, source, case.meta["state_keys"])
    module = build(case, bottleneck=True, text=TEXT_ONLY, momentum=lambda net: _copied(net, source, settings))
    remembered = module.momentum
    assert remembered is not None
    for name in ("video_queue", "text_queue", "idx_queue", "ptr_queue"):
        getattr(remembered, name).copy_(case.tensor(f"in/{name}"))
    optimizer = torch.optim.SGD(module.net.parameters(), lr=0.05)
    for step in ("step0", "step1"):
        loss = module.compute_loss(batch(case, f"in/{step}/"))["loss"]
        close(case, f"out/{step}/loss_cls", loss)
        optimizer.zero_grad()
        loss.backward()
        gradients(case, module, f"grad/{step}/")
        before = {name: each.clone() for name, each in remembered.named_parameters()}
        optimizer.step()
        found = module.net.state_dict() | remembered.state_dict()
        for name in case.names(f"out/{step}/"):
            if not name.endswith("loss_cls"):
                close(case, name, found[name.removeprefix(f"out/{step}/")])
        if step == "step0":
            start = {name: each.clone() for name, each in before.items()}
    # The copies moved in the second step, and by how much is recorded too.
    for name, change in case.meta["change_m"].items():
        moved = found[name] - start[name]
        relative = float(moved.norm() / start[name].norm())
        largest = float(moved.abs().max() / start[name].abs().max())
        assert change > 0
        assert any(abs(value - change) <= 0.05 * change for value in (relative, largest)), (name, relative, largest)


def _copied(net: Any, source: SkeletonClipModule, settings: dict[str, Any]) -> Momentum:
    net.load_state_dict(source.net.state_dict(), strict=True)
    return Momentum(net, **settings)


def pacl(case: Case, own: bool, apply_to: str) -> None:
    scale = torch.linspace(-1, 1, case.arrays["in/text_feat_raw"].shape[-1])
    assert case.meta["loss"] == "sum(normalize(out) * linspace(-1,1,C)) for gradients"
    for name in case.meta["weighting"]:
        videos = case.tensor("in/video_feat_raw").requires_grad_()
        texts = case.tensor("in/text_feat_raw").requires_grad_()
        alignment = Alignment(**WEIGHTINGS[name], apply_to=apply_to)  # type: ignore[arg-type]
        out = align(videos, texts, alignment, own)
        case.check(f"out/{name}", out)
        normalised = F.normalize(out, dim=-1)
        case.check(f"out/{name}/normalized", normalised)
        (normalised * scale).sum().backward()
        assert videos.grad is not None
        assert texts.grad is not None
        case.check(f"grad/{name}/video_feat_raw", videos.grad)
        case.check(f"grad/{name}/text_feat_raw", texts.grad)


def plus_loss_scores(case: Case) -> None:
    variants = {name.split("/")[1] for name in case.names("out/")}
    assert variants == {f"{kind}_{name}" for kind in ("plus", "pacl_mlp") for name in WEIGHTINGS}
    for variant in sorted(variants):
        kind, weighting = variant.rsplit("_", 1)
        module = build(
            case,
            bottleneck=False,
            text=TEXT_ONLY,
            embedder="linear" if kind == "plus" else "residual_mlp",
            pooling="text_weighted",
            objective="all_class",
            alignment=Alignment(**WEIGHTINGS[weighting], apply_to="raw"),
        )
        load(case, module, case.meta["state_keys"][kind], kind)
        inputs = batch(case)
        loss = module.compute_loss(inputs)["loss"]
        loss.backward()
        close(case, f"out/{variant}/loss_cls", loss)
        cosines = module.clip_cosines(inputs["imgs"])[:, 0]
        close(case, f"out/{variant}/sim_i2t", cosines / module.net.temp)
        close(case, f"out/{variant}/test_scores", module.clip_scores(case.tensor("in/test_imgs"), 4))
        gradients(case, module, f"grad/{variant}/")


HANDLERS: dict[str, Callable[[Case], None]] = {
    "visece_loss": visece_loss,
    "itm_loss": itm_loss,
    "momentum": momentum,
    "pacl_train": partial(pacl, own=True, apply_to="normalised"),
    "pacl_train_mod": partial(pacl, own=True, apply_to="raw"),
    "pacl_val": partial(pacl, own=False, apply_to="normalised"),
    "pacl_val_mod": partial(pacl, own=False, apply_to="raw"),
    "plus_loss_scores": plus_loss_scores,
}
