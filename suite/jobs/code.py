"""A digest of the code that a result depends on. If that code changes, the result is computed again.

The digest is made from syntax trees, so comments, docstrings and line breaks do not count. It covers a
function, all definitions of this project that the function names, all that these name, and so on.
joblib.Memory looks at the function's own source only.
"""

import ast
import dis
import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from types import CodeType
from typing import NamedTuple

from suite.support.command_line import BadInput

ROOT = Path(__file__).resolve().parents[2]
# Not covered: images are in a result's recipe already, and the words of errors are no part of a result.
LEFT_OUT = ("suite.sources", "suite.support")


class _Module(NamedTuple):
    """The definitions in a file of this project, and the names that it imports from other such files."""

    definitions: dict[str, ast.stmt]
    imports: dict[str, str]  # the name here -> module.name there, or module


def key_of(recipe: object, code: str, libraries: Sequence[str]) -> str:
    """The key of a result: a SHA-256 in hexadecimal digits.

    recipe: anything that JSON can hold. code: `module.name` of a definition, see code_digest. libraries: the
    packages whose installed versions count. Raises BadInput for a package that is not installed.
    """
    versions = {}
    for name in libraries:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            raise BadInput(
                f"the package {name} is not installed, or under another name, such as tensorflow-cpu for "
                "tensorflow: pip install -r requirements.txt"
            ) from None
    return hashlib.sha256(json.dumps([recipe, code_digest(code), versions]).encode()).hexdigest()


def name_of(function: Callable) -> str:
    """`module.name` of a function of this project. The module is found by its file, so that a function of the
    script that is running has the same name as in an imported script.

    Raises BadInput for anything else, such as a function from a notebook's cell, which no digest could cover.
    """
    code = getattr(function, "__code__", None)
    path = Path(code.co_filename).resolve() if code else Path()
    if path.is_file() and path.is_relative_to(ROOT):
        place = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if function.__qualname__ in _module(place, ROOT).definitions:
            return f"{place}.{function.__qualname__}"
    name = getattr(function, "__qualname__", repr(function))
    raise BadInput(f"{name} is no function of a file of this project: write it into one, and restart Python")


@cache
def code_digest(name: str, root: Path = ROOT) -> str:
    """SHA-256, in hexadecimal digits, of a definition of this project and of all that it names, and so on.

    name: `module.name` of the definition. root: the project's folder. A definition counts wherever it is
    named: in a body, a default, a decorator or an annotation.
    """
    definitions = _definitions(name, root)
    texts = {place: ast.unparse(_bare(statement)) for place, statement in definitions.items()}
    return hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()


def forget_digests() -> None:
    """Makes the next digest read the files again. In a notebook they may have been edited since the last."""
    code_digest.cache_clear()
    _module.cache_clear()
    _compiled.cache_clear()


def refuse_code_that_differs(name: str, namespace: Mapping[str, object], root: Path = ROOT) -> None:
    """Raises BadInput if the code in this process differs from the files.

    Results are kept under a digest of the files. In a notebook, a file may have been edited after it was
    imported or run, or a function or a constant may have been replaced from outside. A result computed then
    would be kept under the wrong digest.

    name: `module.name` of a function. namespace: the function's globals; those of the module of that name may
    be others, because a script that a notebook has run is no module. root: the project's folder.
    """
    own_module = name.rpartition(".")[0]
    definitions = _definitions(name, root)
    for module_name in dict.fromkeys(place.rpartition(".")[0] for place in definitions):
        loaded = (
            namespace if module_name == own_module else getattr(sys.modules.get(module_name), "__dict__", {})
        )
        for name_there, place in _names_in(module_name, root):
            if place not in definitions or name_there not in loaded:  # imported within a function
                continue
            defined_in, _, short = place.rpartition(".")
            path = _path(defined_in, root)
            if _runs_otherwise(loaded[name_there], short, definitions[place], _compiled(path)):
                raise BadInput(
                    f"{short} is not what {path.relative_to(root)} says: write the change into the file, "
                    "then restart Python or reload the module"
                )


def _names_in(module_name: str, root: Path) -> Iterator[tuple[str, str]]:
    """The project's definitions that a module has names for, its own and the imported ones: (the name in the
    module, `module.name` of the definition)."""
    module = _module(module_name, root)
    yield from ((short, f"{module_name}.{short}") for short in module.definitions)
    for name_there, origin in module.imports.items():
        yield from ((name_there, place) for place in _origin(origin, root))


def _definitions(name: str, root: Path) -> dict[str, ast.stmt]:
    """The definition `module.name`, all definitions of this project that it names, all that these name, and
    so on, by `module.name`."""
    visited: dict[str, ast.stmt] = {}
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name in visited or name.startswith(LEFT_OUT):
            continue
        if _path(name, root):  # a whole module is named
            waiting += [f"{name}.{short}" for short in _module(name, root).definitions]
            continue
        place, _, short = name.rpartition(".")
        visited[name] = _module(place, root).definitions[short]
        waiting += _named_in(visited[name], place, root)
    return visited


def _named_in(statement: ast.stmt, place: str, root: Path) -> Iterator[str]:
    """`module.name` of each of the project's definitions that a statement of module `place` names."""
    module = _module(place, root)
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and node.id in module.definitions:
            yield f"{place}.{node.id}"
        elif isinstance(node, ast.Name) and node.id in module.imports:
            yield from _origin(module.imports[node.id], root)


def _origin(name: str, root: Path) -> Iterator[str]:
    """Where an imported name is defined: the __init__ of a package may only pass it on."""
    if name.startswith(LEFT_OUT):
        return
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
    tree = ast.parse(_path(name, root).read_text(encoding="utf-8"))
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
        definitions |= dict.fromkeys(_defined_by(statement), statement)
    return _Module(definitions, imports)


def _defined_by(statement: ast.stmt) -> list[str]:
    """The names that a function, a class or an assignment defines; none for other statements."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        nodes = (node for target in _targets(statement) for node in ast.walk(target))
        return [node.id for node in nodes if isinstance(node, ast.Name)]
    return []


def _targets(assignment: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return assignment.targets if isinstance(assignment, ast.Assign) else [assignment.target]


def _path(name: str, root: Path) -> Path | None:
    """The file of a module of this project, or None if there is no such module."""
    base = root.joinpath(*name.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


class _Docstrings(ast.NodeTransformer):
    """Takes out docstrings, and any other text that is a statement of its own."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt | None:
        alone = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if alone else node


def _bare(statement: ast.stmt) -> ast.stmt:
    """A copy of a statement without docstrings, so that it is the same whether it had any. What is left of a
    function may be no statement at all: it is only to be compared."""
    return _Docstrings().visit(ast.parse(ast.unparse(statement)).body[0])


# ------------------------------------------------------------------------------------- what this process runs


def _runs_otherwise(value: object, name: str, statement: ast.stmt, written: CodeType) -> bool:
    """Whether a function, a class or a plain constant differs from its statement in the file.

    name: the name that the statement defines. written: the compiled code of the whole file, or of the class,
    that holds the statement. A function compiled alone would differ: the file's imports change how it calls.
    """
    if isinstance(statement, ast.FunctionDef):
        return _shape(_code_of(value)) != _shape(_code_within(written, name))
    if isinstance(statement, ast.ClassDef):
        of_class = _code_within(written, name)
        return not isinstance(value, type) or any(
            _runs_otherwise(vars(value).get(part), part, line, of_class)
            for line in statement.body
            if isinstance(line, ast.FunctionDef | ast.Assign)
            for part in _defined_by(line)
        )
    try:
        constant = ast.literal_eval(_expression_of(name, statement))
    except ValueError:  # computed from other names, which are compared themselves
        return False
    return type(value) is not type(constant) or value != constant


def _expression_of(name: str, assignment: ast.Assign | ast.AnnAssign) -> ast.expr | None:
    """The expression that an assignment, perhaps to several names, gives to one of them; None if unclear."""
    for target in _targets(assignment):
        if isinstance(target, ast.Name):
            return assignment.value
        if isinstance(target, ast.Tuple) and isinstance(assignment.value, ast.Tuple):
            for part, expression in zip(target.elts, assignment.value.elts, strict=False):
                if isinstance(part, ast.Name) and part.id == name:
                    return expression
    return None


@cache
def _compiled(path: Path) -> CodeType:
    return compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True)


def _code_within(code: CodeType, name: str) -> CodeType | None:
    """The compiled code of a function or class, by its name, from that of the file or class around it."""
    parts = [part for part in code.co_consts if isinstance(part, CodeType) and part.co_name == name]
    return parts[-1] if parts else None


def _code_of(attribute: object) -> CodeType | None:
    """The code behind a function, a method, a property (also a cached one) or a static method, without its
    decorators."""
    if isinstance(attribute, cached_property):
        attribute = attribute.func
    function = getattr(attribute, "fget", None) or getattr(attribute, "__func__", None) or attribute
    return getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None


def _shape(code: CodeType | None) -> tuple | None:
    """What a code object does, without line numbers: its instructions with their operands, and its arguments.
    No instruction uses the docstring."""
    if code is None:
        return None
    instructions = []
    for instruction in dis.get_instructions(code):
        value = instruction.argval
        known = _shape(value) if isinstance(value, CodeType) else (type(value), value)
        instructions.append((instruction.opname, known))
    arguments = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_varnames
    return arguments, code.co_freevars, tuple(instructions)
