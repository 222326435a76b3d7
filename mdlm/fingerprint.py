"""Names for results: a hash of everything that made them, the code among it."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import json
import platform
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mdlm import __version__


def digest(description: Mapping[str, Any]) -> str:
    """A short hash of a JSON-able description that does not depend on the order of its keys.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        True
    """
    text = json.dumps(description, sort_keys=True, default=list)
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def part_identity(part: Any) -> dict[str, Any]:  # noqa: ANN401
    """All that decides what a part of a run does: its class, its code, and its fields, nested parts among them.

    Args:
        part: A dataclass. Where it has a method ``identity``, such as `mdlm.system.base.System`, that names the
            fields that count. A field that is the path of a file counts with the file's size and date.

    Raises:
        TypeError: A field is nothing that a configuration can hold.
    """
    own = part.identity() if hasattr(part, "identity") else {f.name: getattr(part, f.name) for f in fields(part)}
    return {
        "class": f"{type(part).__module__}.{type(part).__qualname__}",
        "fields": {name: _plain(value) for name, value in own.items()},
        "code": code_version(part.__class__),
    }


def _plain(value: Any) -> Any:  # noqa: ANN401
    """A field's value, JSON-able."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        status = value.stat() if value.is_file() else None
        return [str(value), *([status.st_size, status.st_mtime_ns] if status else [])]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if is_dataclass(value):
        return part_identity(value)
    raise TypeError(f"a {type(value).__name__} cannot be part of a result's name; give it as numbers or text")


@cache
def code_version(part: type) -> str:
    """A hash of the code behind a part: its class, its bases, and what they import from the same package.

    Comments, docstrings and layout do not count, so that editing those computes nothing anew. Modules beside a
    user's own module count as its package. What mdlm's parts import from other parts (PCCA+ the counts of
    `mdlm.kinetics`) counts too, but not the modules beside the parts, such as `mdlm.progress`.
    """
    packages = {"mdlm", part.__module__.split(".")[0]}
    wanted = [
        (cls.__module__, Path(inspect.getfile(cls))) for cls in part.__mro__ if cls.__module__.split(".")[0] in packages
    ]
    code: dict[str, str] = {}
    while wanted:
        name, file = wanted.pop()
        if name not in code:
            code[name], siblings = module_code(name, file)
            wanted += siblings
    return digest(code)


@cache
def module_code(name: str, file: Path) -> tuple[str, list[tuple[str, Path]]]:
    """A module's code in a form without comments, docstrings and layout, and the modules of its package it imports.

    They are read, not imported: numba and scipy take a second to load, for a name.
    """
    tree = ast.parse(read_code(file))
    siblings = _siblings(name, file, tree)
    return ast.dump(_without_docstrings(tree)), siblings


def read_code(file: Path) -> str:
    """The text of a module."""
    return file.read_text(encoding="utf-8")


def _siblings(module: str, file: Path, tree: ast.Module) -> list[tuple[str, Path]]:
    """Modules of the same package that a module imports, inside functions too, and their files."""
    package = module.rpartition(".")[0]
    found = [(name, _of_sibling(name, package, file.parent)) for name in sorted(_imported(tree, package))]
    return [(name, path) for name, path in found if path is not None]


def _imported(tree: ast.Module, package: str) -> set[str]:
    """Full names of all that a module imports; some are modules, some are what is in them."""
    names: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            source = importlib.util.resolve_name(relative, package) if node.level else relative
            names.update([source, *(f"{source}.{alias.name}" for alias in node.names)])
    return names


def _of_sibling(name: str, package: str, folder: Path) -> Path | None:
    """The file of a module of a package, of another part of mdlm or, without a package, of one in the folder."""
    of_a_part = package.startswith("mdlm.") and name.startswith("mdlm.") and name.count(".") > 1
    if not of_a_part and not (name.startswith(f"{package}.") if package else "." not in name):
        return None
    top, *inside = name.split(".")
    spec = importlib.util.find_spec(top)  # of what lies inside, it would import the module around it
    if spec is None:
        return None
    if not package:
        return Path(str(spec.origin)) if spec.has_location and Path(str(spec.origin)).parent == folder else None
    paths = [Path(location, *inside) for location in spec.submodule_search_locations or ()]
    files = [file for path in paths for file in (path.with_suffix(".py"), path / "__init__.py")]
    return next((file for file in files if file.is_file()), None)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in _statements(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body
            if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
                node.body = body[1:]
    return tree


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """A module, its statements and those inside them; expressions, most of a tree, hold no statement."""
    wanted: list[ast.AST] = [tree]
    for node in wanted:
        yield node
        inside = ast.iter_child_nodes(node)
        wanted += [child for child in inside if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case)]


def git_commit(directory: Path) -> str | None:
    """The commit of the repository that holds ``directory``, with ``+`` where files differ from it, or None."""
    import subprocess

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(directory), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def made_with() -> Mapping[str, str]:
    """Versions of mdlm, of Python and of the packages that decide a result, and mdlm's commit where there is one.

    Asked once: what a process has loaded does not change any more.
    """
    tags = {"mdlm": __version__, "python": platform.python_version()}
    for package in ("torch", "numpy", "scipy", "numba", "hydra-core"):
        try:
            tags[package] = version(package)
        except PackageNotFoundError:
            continue
    commit = git_commit(Path(__file__).parent)
    return MappingProxyType(tags | ({"git_commit": commit} if commit else {}))
