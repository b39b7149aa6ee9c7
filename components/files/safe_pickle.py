"""Reads pickles of published data sets and body models without running what they name.

Only numpy arrays and scalars, plain containers and stand-ins for two known packages come through. Not even numpy's own
unpickling code runs: arrays and dtypes are rebuilt here from checked shapes and bytes, because a forged dtype can make
numpy take file content for memory addresses.
"""

import io
import math
import pickle
import re
import struct
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from components.errors import InputError

_DTYPE_CODE = re.compile(r"[<>=|]?(\?|[biufc](?:1|2|4|8|16)|[SU]\d{0,6}|[bBhHiIlLqQefdFDO]|O8|O4)")
_SPARSE_CLASS = re.compile(r"(csc|csr|coo)_(?:matrix|array)")
_MAX_DEPTH = 64


# Compressed joblib files, by their first bytes: the window size that tells zlib what it reads.
_COMPRESSED = {b"\x78": zlib.MAX_WBITS, b"\x1f\x8b": 16 + zlib.MAX_WBITS}
_OTHER_COMPRESSION = {b"BZ": "bz2", b"\xfd7zXZ": "xz", b"\x5d\x00": "lzma", b"\x04\x22\x4d\x18": "lz4"}
# More than any motion file; what unpacks to more is no such file.
_MAX_UNPACKED = 1 << 31


def load_pickle(path: str | Path, share_bytes: bool = False) -> Any:
    """Read a pickle of numpy arrays and plain containers; files of Python 2 included (text read as latin-1).

    Sparse matrices of scipy and variables of chumpy arrive as dense numpy arrays, without those packages. A chumpy
    expression that only chumpy could evaluate arrives as `ChumpyVariable`. The file is read piece by piece.

    Args:
        path: of the pickle.
        share_bytes: arrays keep the bytes that the pickle brings instead of a copy: half the memory while a large file
            is read. They cannot be written to, and may be in Fortran order.

    Raises:
        InputError: the file is missing, truncated, no pickle, or names anything that is not admitted.
    """
    path = Path(path)
    with _explained(path), path.open("rb") as file:
        unpickler = _SharingUnpickler(file) if share_bytes else _AdmittingUnpickler(file)
        return _plain(unpickler.load(), {})


def load_joblib(path: str | Path) -> Any:
    """Read what `joblib.dump` wrote: a pickle with the bytes of arrays between its opcodes, plain or with zlib or gzip.

    Admits what `load_pickle` admits. The file is read whole.

    Raises:
        InputError: as `load_pickle`, or the file is compressed in another way.
    """
    path = Path(path)
    with _explained(path):
        return _plain(_JoblibUnpickler(io.BytesIO(_unpacked(path))).load(), {})


def _unpacked(path: Path) -> bytes:
    content = path.read_bytes()
    for magic, name in _OTHER_COMPRESSION.items():
        if content.startswith(magic):
            raise InputError(f"compressed with {name}; only zlib and gzip are read. Write it anew with those")
    window = next((bits for magic, bits in _COMPRESSED.items() if content.startswith(magic)), None)
    if window is None:
        return content
    machine = zlib.decompressobj(window)
    unpacked = machine.decompress(content, _MAX_UNPACKED)
    if machine.unconsumed_tail or not machine.eof:
        raise EOFError("its compressed content ends too early, or unpacks to more than 2 GiB")
    return unpacked


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns whatever a damaged or hostile file causes into an `InputError` that names the file."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist (expected a pickle file)") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except _RefusedError as error:
        raise InputError(
            f"{path} is refused: {error}.\n"
            "Only numpy arrays and plain containers are admitted: the file is hostile or not what it should be, "
            "get it from its publisher again"
        ) from error
    except (
        EOFError, pickle.UnpicklingError, ValueError, TypeError, AttributeError, LookupError, struct.error, zlib.error,
    ) as error:  # fmt: skip
        if isinstance(error, InputError):
            raise InputError(f"{path}: {error}") from error
        raise InputError(f"{path} is truncated or not a pickle ({error}); download or copy it again") from error
    except (OverflowError, MemoryError, RecursionError) as error:
        raise InputError(f"{path} states sizes that cannot be ({type(error).__name__}); it is refused") from error


class SparseMatrix:
    """Stand-in for `scipy.sparse` matrices in column-compressed form."""

    layout = "csc"

    def __init__(self, *_: Any) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise _RefusedError("a sparse matrix has no plain state")
        self.state = state

    def toarray(self) -> np.ndarray:
        """The dense matrix `[rows, columns]`.

        Raises:
            InputError: indices and shape do not fit together.
        """
        try:
            rows, columns = (int(n) for n in self.state.get("_shape", self.state.get("shape", ())))
            values = np.asarray(self.state["data"])
            row, column = self._coordinates(rows, columns)
            if row.min(initial=0) < 0 or column.min(initial=0) < 0:
                raise ValueError("negative index")
            dense = np.zeros((rows, columns), dtype=values.dtype)
            np.add.at(dense, (row, column), values)
        except (KeyError, ValueError, TypeError, IndexError, MemoryError) as error:
            raise InputError(f"a sparse matrix in the pickle is broken: {error}") from error
        return dense

    def _coordinates(self, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
        if self.layout == "coo":
            row, column = self.state["coords"] if "coords" in self.state else (self.state["row"], self.state["col"])
            return np.asarray(row), np.asarray(column)
        starts, minor = np.asarray(self.state["indptr"]), np.asarray(self.state["indices"])
        major = np.repeat(np.arange(rows if self.layout == "csr" else columns), np.diff(starts))
        return (major, minor) if self.layout == "csr" else (minor, major)


class _CsrMatrix(SparseMatrix):
    layout = "csr"


class _CooMatrix(SparseMatrix):
    layout = "coo"


class ChumpyVariable:
    """Stand-in for chumpy objects: `Ch` keeps its array as `x`, `Select` picks entries of another variable."""

    def __init__(self, *_: Any) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise _RefusedError("a chumpy variable has no plain state")
        self.state = state

    def toarray(self) -> np.ndarray:
        """The array behind the variable.

        Raises:
            InputError: the variable is an expression, which only chumpy could evaluate.
        """
        if "x" in self.state:
            return np.asarray(self.state["x"])
        if not {"a", "idxs"} <= self.state.keys():
            raise InputError(f"a chumpy variable holds no array (found {', '.join(map(str, self.state)) or 'nothing'})")
        source = self.state["a"]
        values = source.toarray() if isinstance(source, ChumpyVariable) else np.asarray(source)
        chosen = values.ravel()[np.asarray(self.state["idxs"])]
        return chosen.reshape(self.state.get("preferred_shape", chosen.shape))


class _RefusedError(Exception):
    """The pickle names something that is not admitted."""


class _Call:
    """An admitted callable that the pickle cannot alter (the opcode BUILD meets this `__setstate__`)."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, state: Any) -> None:
        raise _RefusedError("it tries to alter a function")


class _Marker:
    """Stands for the classes `numpy.ndarray` and `object` where they are mere arguments."""

    def __setstate__(self, state: Any) -> None:
        raise _RefusedError("it tries to alter a class")


class _Dtype:
    """A dtype of plain numbers, text or objects; the state adds the byte order only."""

    def __init__(self, code: Any) -> None:
        code = code.decode("latin1") if isinstance(code, bytes) else code
        if not isinstance(code, str) or not _DTYPE_CODE.fullmatch(code):
            raise _RefusedError(f"array type {code!r} is not admitted")
        self.value = np.dtype("O" if code.lstrip("<>=|").startswith("O") else code)

    def __setstate__(self, state: Any) -> None:
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "=", "|") or any(part is not None for part in state[2:5]):
            raise _RefusedError("array types with fields are not admitted")
        if order in ("<", ">") and not self.value.hasobject:
            self.value = self.value.newbyteorder(">" if order == ">" else "<")


class _Array:
    """An array under construction."""

    def __init__(self) -> None:
        self.value = np.empty(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        self.value = _build_array(shape, dtype, bool(fortran), content)


class _SharedArray(_Array):
    """An array under construction that will keep the pickle's bytes."""

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        self.value = _build_array(shape, dtype, bool(fortran), content, share=True)


def _build_array(shape: Any, dtype: Any, fortran: bool, content: Any, share: bool = False) -> np.ndarray:
    """Array from its stored parts, in the machine's byte order; sizes must agree exactly.

    With `share` the array is a view of `content`, where that is possible.
    """
    if not isinstance(dtype, _Dtype):
        raise _RefusedError("an array without a plain type")
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if len(shape) > 32 or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise ValueError(f"impossible array shape {shape}")
    count, order = math.prod(shape), "F" if fortran else "C"
    if dtype.value.hasobject:
        if not isinstance(content, list) or len(content) != count:
            raise _RefusedError("an object array without its list of objects")
        flat = np.empty(count, dtype=object)
        for index, item in enumerate(content):
            flat[index] = item
        return np.array(flat.reshape(shape, order=order), order="C")  # type: ignore[call-overload]
    content = content.encode("latin1") if isinstance(content, str) else content
    if not isinstance(content, bytes) or len(content) != count * dtype.value.itemsize:
        raise ValueError(f"the bytes of an array do not fill its shape {shape}")
    if not content:
        return np.empty(shape, dtype=dtype.value.newbyteorder("="))
    array = np.frombuffer(content, dtype=dtype.value).reshape(shape, order=order)  # type: ignore[call-overload]
    if share and dtype.value.isnative:
        return array
    return np.array(array, dtype=dtype.value.newbyteorder("="), order="C")


def _reconstruct(kind: Any, *_: Any) -> _Array:
    if not isinstance(kind, _Marker):
        raise _RefusedError("an array of an unknown class")
    return _Array()


def _reconstruct_shared(kind: Any, *_: Any) -> _Array:
    _reconstruct(kind)
    return _SharedArray()


def _scalar(dtype: Any, content: Any = b"") -> Any:
    if isinstance(dtype, _Dtype) and dtype.value.hasobject:
        raise _RefusedError("an object scalar")
    return _build_array((), dtype, False, content)[()]


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any = "C", *_: Any) -> np.ndarray:
    return _build_array(shape, dtype, order in ("F", b"F"), bytes(content))


def _from_shared_buffer(content: Any, dtype: Any, shape: Any, order: Any = "C", *_: Any) -> np.ndarray:
    # Unlike bytes, a bytearray could be changed under the array: that one is copied.
    return _build_array(shape, dtype, order in ("F", b"F"), bytes(content), share=True)


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise _RefusedError(f"text encoding {encoding!r}")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    return b""


def _old_instance(kind: Any, *_: Any) -> Any:
    """What `copy_reg._reconstructor` does, for stand-ins only."""
    if not (isinstance(kind, type) and issubclass(kind, SparseMatrix | ChumpyVariable)):
        raise _RefusedError("an object of an unknown class")
    return kind()


def _new_dtype(code: Any, *_: Any) -> _Dtype:
    return _Dtype(code)


def _admitted() -> dict[tuple[str, str], Any]:
    table: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): _Marker(),
        ("numpy", "dtype"): _Call(_new_dtype),
        ("_codecs", "encode"): _Call(_encode),
        ("collections", "OrderedDict"): OrderedDict,
    }
    for core in ("numpy.core", "numpy._core"):
        table[core + ".multiarray", "_reconstruct"] = _Call(_reconstruct)
        table[core + ".multiarray", "scalar"] = _Call(_scalar)
        table[core + ".numeric", "_frombuffer"] = _Call(_from_buffer)
    for builtins in ("builtins", "__builtin__"):
        table[builtins, "object"] = _Marker()
        table[builtins, "bytes"] = _Call(_empty_bytes)
        for plain in (set, frozenset, complex):
            table[builtins, plain.__name__] = _Call(plain)
    for registry in ("copyreg", "copy_reg"):
        table[registry, "_reconstructor"] = _Call(_old_instance)
    return table


_ADMITTED = _admitted()
# What takes the place of two of them where bytes are shared, by name.
_SHARING = {"_reconstruct": _Call(_reconstruct_shared), "_frombuffer": _Call(_from_shared_buffer)}
_SPARSE_LAYOUTS = {"csc": SparseMatrix, "csr": _CsrMatrix, "coo": _CooMatrix}


class _AdmittingUnpickler(pickle._Unpickler):
    """Python's own implementation: the one in C fills a table up to whatever place the file names, tens of GiB."""

    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)
    read: Callable[[int], bytes]
    append: Callable[[Any], None]

    def __init__(self, file: Any) -> None:
        super().__init__(file, encoding="latin1")

    def _load_bytearray(self) -> None:
        # The original fills as many bytes as the file states before it looks for them.
        (size,) = struct.unpack("<Q", self.read(8))
        self.append(bytearray(self.read(size)))

    dispatch[pickle.BYTEARRAY8[0]] = _load_bytearray

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ADMITTED:
            return _ADMITTED[module, name]
        sparse = _SPARSE_CLASS.fullmatch(name)
        if sparse and (module + ".").startswith("scipy.sparse."):
            return _SPARSE_LAYOUTS[sparse[1]]
        if module.split(".")[0] == "chumpy" and name.isidentifier():
            return ChumpyVariable
        raise _RefusedError(f"it names '{module}.{name}'")


class _SharingUnpickler(_AdmittingUnpickler):
    """Arrays become views of the bytes that the stream brought."""

    def find_class(self, module: str, name: str) -> Any:
        admitted = super().find_class(module, name)
        return _SHARING.get(name, admitted) if isinstance(admitted, _Call) else admitted


class _InlineArray(_Array):
    """joblib's `NumpyArrayWrapper`: the bytes of the array follow the opcode that sets its state."""

    stream: io.BytesIO

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict) or not isinstance(state.get("subclass"), _Marker):
            raise _RefusedError("an array of an unknown class")
        shape, dtype = state["shape"], state["dtype"]
        if not isinstance(dtype, _Dtype) or dtype.value.hasobject:
            raise _RefusedError("an array of objects")
        # Written since joblib 1.2: one byte that says how many follow before the array.
        if state.get("numpy_array_alignment_bytes") is not None:
            self.stream.read(self.stream.read(1)[0])
        if not isinstance(shape, tuple) or not all(isinstance(size, int) and size >= 0 for size in shape):
            raise ValueError(f"impossible array shape {shape}")
        content = self.stream.read(math.prod(shape) * dtype.value.itemsize)
        self.value = _build_array(shape, dtype, state["order"] == "F", content)


class _JoblibUnpickler(_AdmittingUnpickler):
    """Reads from memory: such a stream cannot be peeked into, so the unpickler never reads ahead into an array."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self._inline = type("_InlineArray", (_InlineArray,), {"stream": stream})

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
            return self._inline
        return super().find_class(module, name)


def _plain(value: Any, done: dict[int, tuple[Any, Any]], depth: int = 0) -> Any:
    """Replace arrays under construction and stand-ins by arrays, in nested containers and object arrays too.

    `done` keeps source and result of every container by identity, so shared content is walked once.
    """
    if isinstance(value, (str, bytes, int, float, complex, type(None))):
        return value
    if id(value) in done:
        return done[id(value)][1]
    if depth > _MAX_DEPTH:
        raise _RefusedError(f"containers nested deeper than {_MAX_DEPTH}")
    result = value
    if isinstance(value, _Array):
        result = value.value
        if result.dtype.hasobject:
            flat = result.reshape(-1)
            for index, item in enumerate(flat):
                flat[index] = _plain(item, done, depth + 1)
    elif isinstance(value, list):
        value[:] = [_plain(item, done, depth + 1) for item in value]
    elif isinstance(value, dict):
        for key in value:
            value[key] = _plain(value[key], done, depth + 1)
    elif isinstance(value, tuple):
        result = tuple(_plain(item, done, depth + 1) for item in value)
    elif isinstance(value, SparseMatrix | ChumpyVariable):
        value.state = _plain(value.state, done, depth + 1)
        if isinstance(value, SparseMatrix) or "x" in value.state or "idxs" in value.state:
            result = value.toarray()
    elif isinstance(value, (_Dtype, _Marker, _Call, type)):
        raise _RefusedError("it holds a class or function as data")
    done[id(value)] = (value, result)
    return result
