"""Signatures of `_target_` classes and functions, read from their source files without importing them.

Importing torch and Lightning costs seconds; a typo in a config must not wait for that. A dotted path is followed
through packages, re-exports and base classes by parsing. What cannot be parsed (compiled or lazily built modules) is
imported.
"""

import ast
import importlib
import importlib.util
import inspect
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

_MAX_DEPTH = 24


@dataclass(frozen=True)
class Parameter:
    """One argument of a callable."""

    name: str
    required: bool
    annotation: ast.expr | None = None


@dataclass(frozen=True)
class Signature:
    """Arguments that a target takes by name; `open_ended` when it also takes **kwargs."""

    target: str
    parameters: dict[str, Parameter] = field(default_factory=dict)
    open_ended: bool = False


class TargetError(LookupError):
    """A `_target_` that leads nowhere; `names` are the names at the place where the path broke."""

    def __init__(self, message: str, part: str = "", names: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.part = part
        self.names = names


@cache
def read_signature(target: str) -> Signature:
    """Signature of a dotted path such as `torch.optim.AdamW`.

    Raises:
        TargetError: no such module or name.
    """
    found = _find(target, 0)
    if found is None:
        return _imported_signature(target)
    module, node = found
    if isinstance(node, ast.ClassDef):
        return _class_signature(target, module, node, 0) or _imported_signature(target)
    bound = any(isinstance(d, ast.Name) and d.id == "classmethod" for d in node.decorator_list)
    return _function_signature(target, node, skip_first=bound)


@dataclass(frozen=True)
class _Module:
    name: str
    path: Path

    @property
    def package(self) -> str:
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]


_Definition = tuple[_Module, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _top_level(name: str) -> tuple[Path, ...] | None:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return tuple(Path(location) for location in spec.submodule_search_locations)
    return (Path(spec.origin),) if spec.origin and spec.origin.endswith(".py") else None


def _module(name: str) -> _Module | None:
    top, *rest = name.split(".")
    for location in _top_level(top) or ():
        path = location.joinpath(*rest) if location.is_dir() else location
        for candidate in (path / "__init__.py", path.with_suffix(".py"), path):
            if candidate.suffix == ".py" and candidate.is_file():
                return _Module(name, candidate)
    return None


def _find(target: str, depth: int) -> _Definition | None:
    """Definition behind a dotted path, None when only an import can tell."""
    if depth > _MAX_DEPTH:
        return None
    parts = target.split(".")
    if _top_level(parts[0]) is None:
        raise TargetError(f"no package '{parts[0]}'", parts[0])
    for cut in range(len(parts) - 1, 0, -1):
        module = _module(".".join(parts[:cut]))
        if module is not None:
            return _find_in_module(module, parts[cut:], depth)
    return None


def _find_in_module(module: _Module, names: list[str], depth: int) -> _Definition | None:
    if depth > _MAX_DEPTH:
        return None
    name, *rest = names
    bindings, stars = _bindings(module)
    node = bindings.get(name)
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return _inside_class(module, node, rest, depth)
    if isinstance(node, str):
        return _find(".".join([node, *rest]), depth + 1)
    for star in stars:
        target_module = _module(star)
        if target_module is not None and name in _bindings(target_module)[0]:
            return _find_in_module(target_module, names, depth + 1)
    if stars or "__getattr__" in bindings or not bindings:
        return None
    known = tuple(key for key in bindings if not key.startswith("_"))
    raise TargetError(f"module '{module.name}' has no '{name}'", name, known)


def _inside_class(
    module: _Module, node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, rest: list[str], depth: int
) -> _Definition | None:
    if not rest:
        return module, node
    if not isinstance(node, ast.ClassDef):
        raise TargetError(f"'{node.name}' in '{module.name}' is a function and has no '{rest[0]}'", rest[0])
    for item in node.body:
        if isinstance(item, ast.FunctionDef | ast.ClassDef) and item.name == rest[0]:
            return _inside_class(module, item, rest[1:], depth)
    for base in _bases(module, node, depth):
        found = _inside_class(base[0], base[1], rest, depth + 1)
        if found is not None:
            return found
    return None


@cache
def _bindings(module: _Module) -> tuple[dict[str, ast.stmt | str], tuple[str, ...]]:
    """Names bound at module level (a definition, or the dotted path that it stands for) and star imports."""
    bound: dict[str, ast.stmt | str] = {}
    stars: list[str] = []
    queue: list[ast.stmt] = list(_parse(module.path).body)
    while queue:
        node = queue.pop(0)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            bound[node.name] = node
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(module, node)
            for alias in node.names:
                if alias.name == "*":
                    stars.append(source)
                else:
                    bound.setdefault(alias.asname or alias.name, f"{source}.{alias.name}")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                bound.setdefault(
                    alias.asname or alias.name.split(".")[0], alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name | ast.Attribute):
            for goal in node.targets:
                if isinstance(goal, ast.Name):
                    bound.setdefault(goal.id, f"{module.name}.{ast.unparse(node.value)}")
        elif isinstance(node, ast.If | ast.Try):
            queue[:0] = [*node.body, *node.orelse, *getattr(node, "finalbody", [])]
    return bound, tuple(stars)


def _absolute(module: _Module, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    package = module.package.split(".")
    package = package[: len(package) - (node.level - 1)]
    return ".".join([*package, node.module] if node.module else package)


def _bases(module: _Module, node: ast.ClassDef, depth: int) -> list[tuple[_Module, ast.ClassDef]]:
    bases = []
    for base in node.bases:
        expression = base.value if isinstance(base, ast.Subscript) else base
        if not isinstance(expression, ast.Name | ast.Attribute):
            continue
        try:
            found = _find_in_module(module, ast.unparse(expression).split("."), depth + 1)
        except TargetError:  # a builtin, such as object or Exception
            continue
        if found is not None and isinstance(found[1], ast.ClassDef):
            bases.append((found[0], found[1]))
    return bases


def _class_signature(target: str, module: _Module, node: ast.ClassDef, depth: int) -> Signature | None:
    if depth > _MAX_DEPTH:
        return None
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return Signature(target, _dataclass_fields(module, node, depth))
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            return _function_signature(target, item, skip_first=True)
    for base_module, base in _bases(module, node, depth):
        found = _class_signature(target, base_module, base, depth + 1)
        if found is not None:
            return found
    return None if node.bases else Signature(target)


def _dataclass_fields(module: _Module, node: ast.ClassDef, depth: int) -> dict[str, Parameter]:
    fields: dict[str, Parameter] = {}
    for base_module, base in reversed(_bases(module, node, depth)):
        fields.update(_dataclass_fields(base_module, base, depth + 1))
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            text = ast.unparse(item.annotation)
            if text.startswith("ClassVar") or (item.value is not None and "init=False" in ast.unparse(item.value)):
                continue
            required = item.value is None or _is_field_without_default(item.value)
            fields[item.target.id] = Parameter(item.target.id, required, item.annotation)
    return fields


def _is_field_without_default(value: ast.expr) -> bool:
    if not isinstance(value, ast.Call) or ast.unparse(value.func).rpartition(".")[2] != "field":
        return False
    return not any(keyword.arg in ("default", "default_factory") for keyword in value.keywords)


def _function_signature(target: str, node: ast.FunctionDef | ast.AsyncFunctionDef, *, skip_first: bool) -> Signature:
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    first_default = len(positional) - len(arguments.defaults)
    parameters = {
        argument.arg: Parameter(argument.arg, index < first_default, argument.annotation)
        for index, argument in enumerate(positional)
        if not (skip_first and index == 0)
    }
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults):
        parameters[argument.arg] = Parameter(argument.arg, default is None, argument.annotation)
    return Signature(target, parameters, arguments.kwarg is not None)


def _imported_signature(target: str) -> Signature:
    parts = target.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            if not hasattr(value, name):
                raise TargetError(f"'{'.'.join(parts[:cut])}' has no '{name}'", name, tuple(dir(value)))
            value = getattr(value, name)
        try:
            signature = inspect.signature(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return Signature(target, {}, open_ended=True)
        named = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        return Signature(
            target,
            {p.name: Parameter(p.name, p.default is p.empty) for p in named},
            any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()),
        )
    raise TargetError(f"no module for '{target}'", parts[0])
