"""Files of torch that others have written: tensors and plain data, nothing else."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch

from components.errors import InputError


class Options:
    """Stand-in for `argparse.Namespace`, in which scripts keep their options beside the weights. Holds plain data.

    Attributes:
        values: options by name.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise UnpicklingError("options without names")
        self.values = {str(name): value for name, value in state.items()}


# Numbers of numpy, which training frameworks leave among the facts beside the weights (a best score, an epoch).
_SCALAR: Any = np.float64(0).__reduce__()[0]
_NUMBERS: list[Any] = [
    (_SCALAR, "numpy.core.multiarray.scalar"),
    (_SCALAR, "numpy._core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?")),
]


def read_tensors(path: Path, expected: str) -> Any:
    """The content of a file of torch: tensors, plain values and containers of them, on the CPU.

    Read with `weights_only`; of all classes only single numbers of numpy and `argparse.Namespace`, which becomes an
    `Options`, are admitted.

    Args:
        path: the file.
        expected: what belongs there, for messages.

    Raises:
        InputError: missing, damaged or hostile.
    """
    if not path.is_file():
        raise InputError(f"checkpoint={path} does not exist; expected {expected}")
    try:
        with torch.serialization.safe_globals([(Options, "argparse.Namespace"), *_NUMBERS]):  # type: ignore[list-item]
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        # torch's advice here is to read the file without protection: not repeated.
        raise InputError(
            f"checkpoint={path} is refused: it holds more than tensors and plain data, or is no checkpoint.\n"
            f"Expected {expected}"
        ) from error
    except Exception as error:  # damage makes torch's unpickler fail in any way there is
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:100]
        raise InputError(
            f"checkpoint={path} cannot be read, it is truncated, damaged or no checkpoint ({reason}).\n"
            f"Expected {expected}"
        ) from error
