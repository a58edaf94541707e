"""A digest of the code that a result depends on, so that a result is never taken for that of other code.

Only syntax trees are read: a comment, a docstring or a line break changes nothing, and nothing is imported.
"""

import ast
import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class _Module(NamedTuple):
    """What a file of this project defines, and what it takes from other files of it, by name."""

    definitions: dict[str, ast.stmt]
    imports: dict[str, str]  # the name here -> module.name there, or module


def key_of(recipe: object, code: Sequence[str], libraries: Sequence[str], known: str = "") -> str:
    """A digest of a recipe (anything that JSON can hold), of the code that it is for (see code_digest), and
    of the versions of the libraries that take part."""
    digests = [code_digest(name, known) for name in code]
    versions = {name: metadata.version(name) for name in libraries}
    return hashlib.sha256(json.dumps([recipe, digests, versions]).encode()).hexdigest()


@cache
def code_digest(name: str, known: str = "", root: Path = ROOT) -> str:
    """SHA-256 of a definition, written `module.name`, and of all in this project that it names, and so on.

    A name counts wherever it stands, in a body, a default, a decorator or an annotation. known: a package
    whose code is left out, because what it gives is part of the recipe.
    """
    sources: dict[str, str] = {}
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name in sources or name.split(".")[0] == known:
            continue
        if _path(name, root):  # a whole module is named
            statements = list(_module(name, root).definitions.values())
            place = name
        else:
            place, _, short = name.rpartition(".")
            statements = [_module(place, root).definitions[short]]
        sources[name] = "\n".join(ast.unparse(_bare(statement)) for statement in statements)
        waiting += [found for statement in statements for found in _named_in(statement, place, root)]
    return hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()


def _named_in(statement: ast.stmt, place: str, root: Path) -> Iterator[str]:
    """The project's own definitions that a statement of module `place` names."""
    module = _module(place, root)
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and node.id in module.definitions:
            yield f"{place}.{node.id}"
        elif isinstance(node, ast.Name) and node.id in module.imports:
            yield from _origin(module.imports[node.id], root)


def _origin(name: str, root: Path) -> Iterator[str]:
    """Where something imported is defined: a package's __init__ may only hand it on."""
    if _path(name, root):
        yield name
        return
    place, _, short = name.rpartition(".")
    module = _module(place, root)
    if short in module.definitions:
        yield name
    elif short in module.imports:
        yield from _origin(module.imports[short], root)


@cache
def _module(name: str, root: Path) -> _Module:
    tree = ast.parse(_path(name, root).read_text())
    definitions: dict[str, ast.stmt] = {}
    imports: dict[str, str] = {}
    for node in ast.walk(tree):
        # An import inside a function counts for the whole module: its names are not used for anything else.
        if isinstance(node, ast.ImportFrom) and node.module and _path(node.module, root):
            imports |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            imports |= {
                alias.asname or alias.name: alias.name for alias in node.names if _path(alias.name, root)
            }
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            definitions[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            found = (node for target in targets for node in ast.walk(target))
            definitions |= {node.id: statement for node in found if isinstance(node, ast.Name)}
    return _Module(definitions, imports)


def _path(name: str, root: Path) -> Path | None:
    """The file of a module of this project, or None if there is no such module."""
    base = root.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


class _Docstrings(ast.NodeTransformer):
    """Takes the docstrings out, and whatever else is a text that stands alone."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        alone = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Pass() if alone else node


def _bare(statement: ast.stmt) -> ast.stmt:
    """A copy of a statement without docstrings."""
    return _Docstrings().visit(ast.parse(ast.unparse(statement)).body[0])
