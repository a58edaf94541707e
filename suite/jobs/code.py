"""A digest of the code that a result depends on, so that a result is never taken for that of other code.

Only syntax trees are read: a comment, a docstring or a line break changes nothing. joblib.Memory, which does
the same for one function, looks at its own source alone, not at what it calls; here all of this project that
a function names counts, and so on.
"""

import ast
import dis
import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from types import CodeType
from typing import NamedTuple

from suite.support.command_line import BadInput

ROOT = Path(__file__).resolve().parents[2]
# What it gives is part of a result's recipe, or no part of the result: images, and the words of errors.
LEFT_OUT = ("suite.sources", "suite.support")


class _Module(NamedTuple):
    """What a file of this project defines, and what it takes from other files of it, by name."""

    definitions: dict[str, ast.stmt]
    imports: dict[str, str]  # the name here -> module.name there, or module


def key_of(recipe: object, code: str, libraries: Sequence[str]) -> str:
    """A digest of a recipe (anything that JSON can hold), of the code that it is for (see code_digest), and
    of the versions of the libraries that take part."""
    versions = {name: metadata.version(name) for name in libraries}
    return hashlib.sha256(json.dumps([recipe, code_digest(code), versions]).encode()).hexdigest()


def name_of(function: Callable) -> str:
    """`module.name` of a function of this project, by its file; a script that runs counts by its name too.

    Raises BadInput for anything else, such as a function from a notebook's cell, which no digest could see.
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
    """SHA-256 of a definition, written `module.name`, and of all in this project that it names, and so on.

    A name counts wherever it stands, in a body, a default, a decorator or an annotation.
    """
    texts = {name: ast.unparse(_bare(statement)) for name, statement in _definitions(name, root).items()}
    return hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()


def forget_digests() -> None:
    """The files will be read anew: in a notebook they may have been edited since the last run."""
    code_digest.cache_clear()
    _module.cache_clear()
    _compiled.cache_clear()


def refuse_code_that_differs(name: str, namespace: Mapping[str, object], root: Path = ROOT) -> None:
    """Raises BadInput if this process runs something else than what the files say.

    Results are kept under a digest of the files. In a notebook a file may have been edited after it was
    imported or run, or a function or a constant replaced from outside; a result of either would be kept under
    the wrong digest.

    name: of a function, `module.name`. namespace: its globals, as it need not be that of the module of that
    name: a script that a notebook has run is no module.
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
    """What a module calls this project's definitions, its own and those that it imports, and their places:
    (name, `module.name`)."""
    module = _module(module_name, root)
    yield from ((short, f"{module_name}.{short}") for short in module.definitions)
    for name_there, origin in module.imports.items():
        yield from ((name_there, place) for place in _origin(origin, root))


def _definitions(name: str, root: Path) -> dict[str, ast.stmt]:
    """The definition `module.name` and all in this project that it names, and so on, by their names."""
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
    """The project's own definitions that a statement of module `place` names."""
    module = _module(place, root)
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and node.id in module.definitions:
            yield f"{place}.{node.id}"
        elif isinstance(node, ast.Name) and node.id in module.imports:
            yield from _origin(module.imports[node.id], root)


def _origin(name: str, root: Path) -> Iterator[str]:
    """Where something imported is defined: a package's __init__ may only hand it on."""
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
    """Takes the docstrings out, and whatever else is a text that stands alone."""

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        alone = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Pass() if alone else node


def _bare(statement: ast.stmt) -> ast.stmt:
    """A copy of a statement without docstrings."""
    return _Docstrings().visit(ast.parse(ast.unparse(statement)).body[0])


# ------------------------------------------------------------------------------------- what this process runs


def _runs_otherwise(value: object, name: str, statement: ast.stmt, written: CodeType) -> bool:
    """Whether a function, what a class says, or a plain constant differs from the statement in the file.

    name: which the statement defines. written: the code of the file, or of the class, that it stands in,
    compiled as a whole: a name that it imports is called in another way.
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
    except ValueError:  # worked out from other things, which count themselves
        return False
    return type(value) is not type(constant) or value != constant


def _expression_of(name: str, assignment: ast.Assign | ast.AnnAssign) -> ast.expr | None:
    """What an assignment, perhaps of several names at once, gives to one of them; None if that is unclear."""
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
    """The code of the function or class of that name that is defined in a file or in a class."""
    parts = [part for part in code.co_consts if isinstance(part, CodeType) and part.co_name == name]
    return parts[-1] if parts else None


def _code_of(attribute: object) -> CodeType | None:
    """The code behind a function, a method, a property or a static method, without its decorators."""
    function = getattr(attribute, "fget", None) or getattr(attribute, "__func__", None) or attribute
    return getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None


def _shape(code: CodeType | None) -> tuple | None:
    """What a code object does, however its lines are numbered: its instructions with what they work on, and
    its arguments. A docstring takes part in no instruction."""
    if code is None:
        return None
    instructions = []
    for instruction in dis.get_instructions(code):
        value = instruction.argval
        known = _shape(value) if isinstance(value, CodeType) else (type(value), value)
        instructions.append((instruction.opname, known))
    arguments = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_varnames
    return arguments, code.co_freevars, tuple(instructions)
