"""Checks plain config values against type annotations that were read as syntax, not imported."""

import ast
from typing import Any

from components.spelling import did_you_mean

_SEQUENCES = {"list", "List", "tuple", "Tuple", "Sequence", "Iterable", "Collection"}
_MAPPINGS = {"dict", "Dict", "Mapping"}


def mismatch(value: Any, annotation: ast.expr) -> str | None:
    """What is wrong with a value, or None when it fits (or the annotation is not one we judge).

    Known are int, float, bool, str, Path, None, Literal, Optional, Union, `|` and sequences of those. A whole number
    fits float; true and false fit bool alone.
    """
    options = _alternatives(annotation)
    verdicts = [_fits(value, option) for option in options]
    if any(verdict is not False for verdict in verdicts):
        return None
    choices = [choice for option in options for choice in _literals(option)]
    if choices:
        return f"{_show(value)} is not one of {', '.join(map(str, choices))}{did_you_mean(value, choices)}"
    return f"{_show(value)} is not of type {ast.unparse(annotation)}"


def _show(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else repr(value)


def _name(node: ast.expr) -> str:
    return ast.unparse(node).rpartition(".")[2]


def _alternatives(annotation: ast.expr) -> list[ast.expr]:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return _alternatives(ast.parse(annotation.value, mode="eval").body)
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return [*_alternatives(annotation.left), *_alternatives(annotation.right)]
    if isinstance(annotation, ast.Subscript):
        name = _name(annotation.value)
        if name == "Optional":
            return [*_alternatives(annotation.slice), ast.Constant(None)]
        if name == "Union" and isinstance(annotation.slice, ast.Tuple):
            return [option for part in annotation.slice.elts for option in _alternatives(part)]
        if name == "Annotated" and isinstance(annotation.slice, ast.Tuple):
            return _alternatives(annotation.slice.elts[0])
    return [annotation]


def _literals(option: ast.expr) -> list[Any]:
    if isinstance(option, ast.Subscript) and _name(option.value) == "Literal":
        parts = option.slice.elts if isinstance(option.slice, ast.Tuple) else [option.slice]
        return [part.value for part in parts if isinstance(part, ast.Constant)]
    return []


def _fits(value: Any, option: ast.expr) -> bool | None:
    """True or False where the annotation is understood, None where it is not."""
    if isinstance(option, ast.Constant) and option.value is None:
        return value is None
    if isinstance(option, ast.Subscript):
        if _name(option.value) == "Literal":
            return value in _literals(option) and not isinstance(value, float)
        return _fits_container(value, option)
    simple = {
        "int": isinstance(value, int) and not isinstance(value, bool),
        "float": isinstance(value, int | float) and not isinstance(value, bool),
        "bool": isinstance(value, bool),
        "str": isinstance(value, str),
        "Path": isinstance(value, str),
        "PathLike": isinstance(value, str),
        **{name: isinstance(value, list) for name in _SEQUENCES},
        **{name: isinstance(value, dict) for name in _MAPPINGS},
    }
    return simple.get(_name(option))


def _fits_container(value: Any, option: ast.Subscript) -> bool | None:
    name = _name(option.value)
    if name in _MAPPINGS:
        return isinstance(value, dict)
    if name not in _SEQUENCES:
        return None
    if not isinstance(value, list):
        return False
    parts = option.slice.elts if isinstance(option.slice, ast.Tuple) else [option.slice]
    if name in ("tuple", "Tuple") and not (len(parts) == 2 and isinstance(parts[1], ast.Constant)):
        if len(value) != len(parts):
            return False
        return all(mismatch(item, part) is None for item, part in zip(value, parts))
    return all(mismatch(item, parts[0]) is None for item in value)
