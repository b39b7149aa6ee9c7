"""The direction rule of the tree: components <- lightning_modules, datamodules <- callbacks <- entrypoints."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("components", "lightning_modules", "datamodules", "callbacks", "entrypoints", "conf", "tests", "benchmarks")
ALLOWED: dict[str, set[str]] = {
    "components": {"components"},
    "lightning_modules": {"components", "lightning_modules", "datamodules"},
    "datamodules": {"components", "datamodules"},
    "callbacks": {"components", "lightning_modules", "datamodules", "callbacks"},
    "entrypoints": {"components", "lightning_modules", "datamodules", "callbacks", "entrypoints"},
}
# Heavy or framework packages that a layer must not know.
FORBIDDEN: dict[str, set[str]] = {
    "components": {"lightning", "pytorch_lightning", "hydra", "omegaconf", "wandb"},
    "lightning_modules": {"hydra", "wandb"},
    "datamodules": {"hydra", "wandb"},
}
# Entry points start instantly: these may be imported inside functions alone.
HEAVY = {"torch", "lightning", "numpy", "matplotlib", "av", "PIL", "smplx", "transformers", "wandb", "torchmetrics"}


def imports(file: Path, *, top_level_only: bool = False) -> set[str]:
    """Dotted names that a file imports; `if TYPE_CHECKING` blocks do not count at top level."""
    tree = ast.parse(file.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import; write the full package name"
            found.add(node.module or "")
    return found


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", list(ALLOWED))
def test_packages_import_only_what_stands_below_them(package: str) -> None:
    for file in files(package):
        for name in imports(file):
            top = name.split(".")[0]
            assert top not in FORBIDDEN.get(package, set()), f"{file.relative_to(ROOT)} imports {name}"
            if top in PACKAGES:
                assert top in ALLOWED[package], f"{file.relative_to(ROOT)} imports {name}"


# files at the root of a package: what all papers need and components cannot hold, as it speaks to Lightning
SHARED = {"lightning_modules": {"gradient_clipping"}, "datamodules": {"loading", "samplers"}}


@pytest.mark.parametrize("package", ["lightning_modules", "datamodules"])
def test_papers_do_not_import_each_other(package: str) -> None:
    for file in files(package):
        parts = file.relative_to(ROOT / package).parts
        paper = parts[0] if len(parts) > 1 else None
        for name in imports(file):
            top, *rest = name.split(".")
            if top not in ("lightning_modules", "datamodules") or not rest or paper is None:
                continue
            assert rest[0] in SHARED[top] or rest[0] == paper, f"{file.relative_to(ROOT)} imports {name}"


def test_modules_and_datamodules_meet_only_in_batch_types() -> None:
    for file in files("lightning_modules"):
        for name in imports(file):
            if name.startswith("datamodules"):
                assert name.endswith(".batch"), f"{file.relative_to(ROOT)} imports {name}"


def test_entry_points_import_nothing_heavy_at_the_top() -> None:
    for file in files("entrypoints"):
        for name in imports(file, top_level_only=True):
            assert name.split(".")[0] not in HEAVY, f"{file.relative_to(ROOT)} imports {name} at the top"
            assert not name.startswith(("lightning_modules", "datamodules", "callbacks.")) or name in (
                "callbacks.run_card",
                "callbacks.machine",
            ), f"{file.relative_to(ROOT)} imports {name} at the top"


def test_no_file_is_named_for_nothing_in_particular() -> None:
    vague = {"utils", "helpers", "misc", "common", "base"}
    for package in ALLOWED:
        for file in files(package):
            assert not vague & {part.removesuffix(".py") for part in file.relative_to(ROOT).parts}, file


def test_make_bench_runs_every_benchmark() -> None:
    listed = (ROOT / "Makefile").read_text()
    for file in files("benchmarks"):
        if "__main__" in file.read_text():
            assert f"benchmarks/{file.name}\n" in listed or f"benchmarks.{file.stem}\n" in listed, file.name
