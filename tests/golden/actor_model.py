"""Golden cases of ACTOR that its networks, losses, positions and generation answer."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from components.body.model import BodyModel
from datamodules.actor.batch import frame_mask
from lightning_modules.actor import losses
from lightning_modules.actor.generation import ActionPair, arrange_noise, lay_out, noise_rows
from lightning_modules.actor.losses import ActorLosses
from lightning_modules.actor.module import ActorModule
from lightning_modules.actor.networks.cvae import ActorCVAE
from lightning_modules.actor.networks.sizes import NetworkSizes
from lightning_modules.actor.networks.transformer import TransformerDecoder, TransformerEncoder
from lightning_modules.actor.rotation2xyz import JOINT_ROWS, Rotation2XYZ
from lightning_modules.actor.upstream_names import from_upstream, to_upstream
from tests.golden.harness import Case

_SIZES = ("num_classes", "num_frames", "latent_dim", "ff_size", "num_layers", "num_heads", "dropout", "activation")


def _sizes(case: Case) -> NetworkSizes:
    config = case.meta["config"]
    named = {key: config[key] for key in _SIZES if key in config}
    conditioning = "pair" if "in/y1" in case.arrays else "single"
    return NetworkSizes(config["njoints"], config["nfeats"], conditioning=conditioning, **named)


def _labels(case: Case) -> tuple[Tensor, Tensor]:
    if "in/y1" in case.arrays:
        return case.tensor("in/y1"), case.tensor("in/y2")
    return case.tensor("in/y"), case.tensor("in/y")


def _check_gradients(case: Case, net: nn.Module, part: str, inputs: dict[str, Tensor]) -> None:
    """All recorded gradients; those of cross-attention queries and keys, which we do not have, must be 0."""
    grads = to_upstream({name: parameter.grad for name, parameter in net.named_parameters()}, part)
    for name in case.names("grad/"):
        key = name.removeprefix("grad/")
        case.check(name, inputs[key].grad if key in inputs else grads[key])


def encoder(case: Case) -> None:
    net = TransformerEncoder(_sizes(case)).eval()
    net.load_state_dict(from_upstream(case.weights(), "encoder"))
    x = case.tensor("in/x").requires_grad_()
    mu, logvar = net(x, case.tensor("in/mask").bool(), *_labels(case))
    case.check("out/mu", mu)
    case.check("out/logvar", logvar)
    ((mu * case.tensor("in/grad_mu")).sum() + (logvar * case.tensor("in/grad_logvar")).sum()).backward()
    _check_gradients(case, net, "encoder", {"in/x": x})


def decoder(case: Case) -> None:
    net = TransformerDecoder(_sizes(case)).eval()
    net.load_state_dict(from_upstream(case.weights(), "decoder"))
    z = case.tensor("in/z").requires_grad_()
    output = net(z, case.tensor("in/mask").bool(), *_labels(case))
    case.check("out/output", output)
    (output * case.tensor("in/grad_output")).sum().backward()
    _check_gradients(case, net, "decoder", {"in/z": z})


def loss_terms(case: Case) -> None:
    names = ("x", "output", "x_xyz", "output_xyz", "mu", "logvar", "z", "true_samples")
    values = {name: case.tensor(f"in/{name}").requires_grad_() for name in names}
    mask = case.tensor("in/mask").bool()
    pose, points = (values["output"], values["x"], mask), (values["output_xyz"], values["x_xyz"], mask)
    terms = {
        "rc": losses.masked_mse(*pose),
        "vel": losses.velocity_mse(*pose),
        "rcxyz": losses.masked_mse(*points),
        "velxyz": losses.velocity_mse(*points),
        "kl": losses.gaussian_kl(values["mu"], values["logvar"]),
        "mmd": losses.gaussian_mmd(values["z"], values["true_samples"]),
    }
    # The Hessian penalty of upstream is disabled there and has no numbers here.
    for name, value in terms.items():
        case.check(f"out/{name}", value)
    for name in case.names("grad/"):
        _, term, wanted = name.split("/")
        (gradient,) = torch.autograd.grad(terms[term], values[wanted], retain_graph=True)
        case.check(name, gradient)
    lambdas = case.meta["config"]["lambdas_of_mixed"]
    weights = {f"lambda_{name}": lambdas.get(name, 0.0) for name in ("rc", "rcxyz", "kl", "vel", "velxyz")}
    mixed = ActorLosses(**weights)(*pose, values["mu"], values["logvar"], values["output_xyz"], values["x_xyz"])
    case.check("out/mixed_" + "_".join(lambdas), mixed["loss"])


def positions(case: Case) -> None:
    body = BodyModel(
        v_template=case.tensor("in/v_template"),
        shapedirs=case.tensor("in/shapedirs"),
        J_regressor=case.tensor("in/J_regressor"),
        lbs_weights=case.tensor("in/weights"),
        faces=case.tensor("in/f"),
        parents=tuple(int(parent) for parent in case.arrays["in/parents"]),
        posedirs=case.tensor("in/posedirs"),
        extra_vertex_ids=case.tensor("in/vertex_ids_21"),
        J_regressor_extra=case.tensor("in/J_regressor_extra"),
    )
    for name in case.names("in/map_"):
        assert JOINT_ROWS[name.removeprefix("in/map_")] == tuple(case.arrays[name])
    mask = case.tensor("in/mask").bool()
    for name, settings in case.meta["cases"].items():
        motion = case.tensor(settings["input"]).requires_grad_()
        keys = ("pose_rep", "translation", "glob", "glob_rot", "jointstype", "vertstrans")
        layer = Rotation2XYZ(body=body, **{key: settings[key] for key in keys if key in settings})
        betas = None
        if "beta" in settings:
            betas = torch.zeros(body.shapedirs.shape[-1])
            betas[1] = settings["beta"]
        points = layer(motion, mask, betas)
        case.check(f"out/{name}", points)
        if f"grad/{name}" in case.arrays:
            (points * case.tensor("in/grad_vertices")).sum().backward()
            case.check(f"grad/{name}", motion.grad)


def generate_noise(case: Case) -> None:
    config = case.meta["config"]
    samples, count = config["nspa"], config["nats"]
    classes = [ActionPair(int(label), int(label)) for label in case.arrays["in/classes"]]
    action, second_action, lengths = lay_out(classes, case.tensor("in/durations"), samples)
    case.check("out/y", action)
    case.check("out/y", second_action)
    case.check("out/lengths", lengths)
    case.check("out/mask", frame_mask(lengths, int(lengths.max())).long())
    for name in case.names("in/noise_"):
        modes, fact = name.removeprefix("in/noise_").split("_fact")
        same, different = modes.split("_")
        noise = case.tensor(name)
        assert len(noise) == noise_rows(samples, count, same, different)
        z = arrange_noise(noise, samples, count, same, different, float(fact))
        case.check(name.replace("in/noise_", "out/z_"), z)


def train_step(case: Case) -> None:
    config = case.meta["config"]
    sizes = _sizes(case)
    # The recorded poses have fewer joints than a body, so both networks take the case's own sizes.
    net = ActorCVAE(lambda _: TransformerEncoder(sizes), lambda _: TransformerDecoder(sizes), sizes.num_classes)
    weights = case.weights()
    for part in ("encoder", "decoder"):
        net.get_submodule(part).load_state_dict(from_upstream(_part(weights, part), part))
    settings = {key: config[key] for key in ("lr", "betas", "eps", "weight_decay") if key in config}
    make_optimizer: Callable = partial(getattr(torch.optim, config["optimizer"]), **settings)
    weights_of_terms = {f"lambda_{name}": config["lambdas"].get(name, 0.0) for name in ("rc", "rcxyz", "kl")}
    module = ActorModule(net, ActorLosses(**weights_of_terms), make_optimizer)
    optimizer = module.configure_optimizers()
    rows, steps = [], len(case.arrays["in/x"])
    mask, lengths = case.tensor("in/mask").bool(), case.tensor("in/lengths")
    for step in range(steps):
        first, second = (labels[step] for labels in _labels(case))
        motion, noise = case.tensor("in/x")[step], case.tensor("in/eps")[step]
        batch = {
            "motion": motion,
            "mask": mask,
            "lengths": lengths,
            "action": first,
            "second_action": second,
            "mix_alpha": torch.ones(len(motion)),
        }
        if step == 0:
            out = module(batch, noise)
            case.check("out/z_step0", out.z)
            case.check("out/output_step0", out.motion)
        terms = module.compute_loss(batch, noise)
        rows.append([terms[name].item() for name in ("rc", "kl", "loss")])
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
    case.check("out/losses", torch.tensor(rows))
    # Without a gradient AdamW only decays the queries and keys of the cross-attention.
    decay = (1 - optimizer.param_groups[0]["lr"] * optimizer.param_groups[0]["weight_decay"]) ** steps
    for part in ("encoder", "decoder"):
        state = to_upstream(net.get_submodule(part).state_dict(), part)
        for name in case.names(f"state/after/{part}."):
            key = name.removeprefix("state/after/")
            value = state[key.removeprefix(f"{part}.")]
            if "multihead_attn.in_proj" in key:
                dead = 2 * len(value) // 3
                value = torch.cat([decay * weights[key][:dead], value[dead:]])
            case.check(name, value)


def _part(weights: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{part}."): value for key, value in weights.items() if key.startswith(f"{part}.")}


HANDLERS: dict[str, Callable[[Case], None]] = {
    **{f"encoder_{kind}": encoder for kind in ("plain", "plain_rich", "mix", "mix_rich")},
    **{f"decoder_{kind}": decoder for kind in ("plain", "plain_rich", "mix", "mix_rich")},
    "losses": loss_terms,
    "rotation2xyz": positions,
    "generate_noise": generate_noise,
    "train_step": train_step,
    "train_step_rich": train_step,
}
