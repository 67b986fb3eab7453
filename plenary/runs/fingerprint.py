"""Code fingerprints: a hash of all code that a function may run, found by following imports.

Modules of stages contain several stages each, so there a function is followed name by name;
whatever it reaches elsewhere counts as whole modules, with everything they import and the data
files they read. A module named in a string (and imported by name) counts as imported. Nothing is
imported to find this out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import alignment
import assembly
import census_data
import evaluation
import personas
import plenary
from plenary.hashing import content_hash
from plenary.outcomes import configs_folder

OURS = (alignment, assembly, census_data, evaluation, personas, plenary)
_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)|import[ \t]+([^\n]*))", re.M
)
_TEXT = re.compile(r"""["']([A-Za-z_][\w.]*)["']""")
_WORD = re.compile(r"[A-Za-z_]\w*")
_FOLDER, _RESOURCES = "__file__", "resources.files"
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Symbol(NamedTuple):
    """A definition at the top of a module, or one attribute of a class there."""

    module: str
    name: str
    attribute: str = ""


class Used(NamedTuple):
    """What a piece of code is and uses: its text, symbols to follow, whole modules, data files."""

    text: str
    symbols: frozenset[Symbol]
    modules: frozenset[str]
    data: frozenset[Path]


class Sources:
    """Our packages as files below `root`, read once; `configs`: the folder of shipped presets."""

    def __init__(self, root: Path, configs: Path) -> None:
        self._root, self._configs = root, configs
        self.paths = {
            ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
            for package in OURS
            for path in sorted((root / package.__name__).rglob("*.py"))
        }
        self._used: dict[str, Used] = {}
        self._digests: dict[Path, str] = {}
        self._below: dict[Path, frozenset[Path]] = {}

    def digest(self, path: Path) -> str:
        """Place and content hash of a file."""
        if path not in self._digests:
            content = content_hash(path)
            base = self._configs if path.is_relative_to(self._configs) else self._root
            self._digests[path] = f"{path.relative_to(base)}\0{content}"
        return self._digests[path]

    def closure(self, names: Iterable[str]) -> set[Path]:
        """The files of modules and of all they import, with the data files they read."""
        seen, files, open_ = set[str](), set[Path](), list(names)
        while open_:
            name = open_.pop()
            if name in self.paths and name not in seen:
                seen.add(name)
                used = self._of_module(name)
                files |= {self.paths[name], *used.data}
                open_ += used.modules
        return files

    def _of_module(self, name: str) -> Used:
        """Modules that a module imports anywhere or names in a string, and its own packages."""
        if name not in self._used:
            text, found = self.paths[name].read_text(encoding="utf-8"), set[str]()
            for source, listed, plain in _IMPORT.findall(text):
                words = _WORD.findall(re.sub("#.*", "", listed))
                found |= {source, *(f"{source}.{word}" for word in words)}
                found |= {part.split()[0] for part in plain.split(",") if part.strip()}
            texts = frozenset(_TEXT.findall(text))
            data = self.data(text, texts, self.paths[name].parent)
            modules = found | texts | {name.rpartition(".")[0]}
            self._used[name] = Used("", frozenset(), frozenset(modules & self.paths.keys()), data)
        return self._used[name]

    def data(self, text: str, named: frozenset[str], beside: Path) -> frozenset[Path]:
        """The data files that code in a folder may read: beside it, in a package, or shipped.

        named: the strings in it.
        """
        folders = {beside} if _FOLDER in text else set[Path]()
        if _RESOURCES in text:
            places = (self.paths[name] for name in named & self.paths.keys())
            folders |= {path.parent for path in places if path.stem == "__init__"}
        if configs_folder.__name__ in text:
            shipped = (child for child in self._configs.iterdir() if child.is_dir())
            folders |= {child for child in shipped if child.name in named}
        return frozenset(path for folder in folders for path in self._data_below(folder))

    def _data_below(self, folder: Path) -> frozenset[Path]:
        """Files of a folder and its subfolders, without code, other packages and presets."""
        if folder not in self._below:
            found = set[Path]()
            for child in folder.iterdir():
                if child.name[0] in "._" or child == self._configs:
                    continue
                if child.is_dir() and not (child / "__init__.py").exists():
                    found |= self._data_below(child)
                elif child.is_file() and child.suffix != ".py":
                    found.add(child)
            self._below[folder] = frozenset(found)
        return self._below[folder]


class Module:
    """What the top of a module defines and imports."""

    def __init__(self, name: str, sources: Sources) -> None:
        self.name, self._sources = name, sources
        text = sources.paths[name].read_text(encoding="utf-8")
        self._lines = text.splitlines()
        self.definitions: dict[str, ast.stmt] = {}
        self.imported: dict[str, tuple[str, str]] = {}
        for node in ast.parse(text).body:
            self._take(node)

    def _take(self, node: ast.stmt) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self.definitions[node.name] = node
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self.imported |= bound(node, self._sources)
        elif isinstance(node, ast.If | ast.Try):
            for inner in node.body:
                self._take(inner)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = (n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name))
            self.definitions |= dict.fromkeys(names, node)

    def find(self, symbol: Symbol) -> ast.stmt | None:
        """The statement that defines a symbol of this module; None if there is none."""
        node = self.definitions.get(symbol.name)
        if not symbol.attribute:
            return node
        body = node.body if isinstance(node, ast.ClassDef) else ()
        return next((inner for inner in body if _defined(inner) == symbol.attribute), None)

    def text(self, node: ast.stmt) -> str:
        """Source of a statement, decorators included."""
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(d.lineno for d in decorators)])
        return "\n".join(self._lines[first - 1 : node.end_lineno])


def bound(node: ast.Import | ast.ImportFrom, sources: Sources) -> dict[str, tuple[str, str]]:
    """The names that an import makes, each with its module and the name there ('' for itself)."""
    found: dict[str, tuple[str, str]] = {}
    for alias in node.names:
        name = alias.asname or alias.name
        if isinstance(node, ast.Import):
            found[name] = (alias.name, "")
        elif f"{node.module}.{alias.name}" in sources.paths:
            found[name] = (f"{node.module}.{alias.name}", "")
        else:
            found[name] = (node.module or "", alias.name)
    return found


class Follower:
    """Follows definitions name by name within `packages`; beyond them modules count whole.

    settings: a class that is not followed, because its values are compared elsewhere.
    """

    def __init__(self, sources: Sources, packages: frozenset[str], settings: Symbol) -> None:
        self._sources, self._packages, self._settings = sources, packages, settings
        self._modules: dict[str, Module] = {}
        self._used: dict[Symbol, Used] = {}

    def reached(self, start: Symbol) -> dict[Symbol, Used]:
        """All that `start` may run."""
        found, open_ = dict[Symbol, Used](), [start]
        while open_:
            symbol = open_.pop()
            # The code of fingerprints is not part of a result.
            if symbol not in found and symbol != self._settings and symbol.module != __name__:
                found[symbol] = self._of(symbol)
                open_ += found[symbol].symbols
        return found

    def _of(self, symbol: Symbol) -> Used:
        if symbol not in self._used:
            module = self._module(symbol.module)
            node = module.find(symbol)
            if node is None:
                used = [] if symbol.attribute else self._named(symbol.name, module)
                self._used[symbol] = self._sorted("", used, frozenset())
            else:
                self._used[symbol] = self._read(node, module, symbol)
        return self._used[symbol]

    def _module(self, name: str) -> Module:
        if name not in self._modules:
            self._modules[name] = Module(name, self._sources)
        return self._modules[name]

    def _read(self, node: ast.stmt, module: Module, symbol: Symbol) -> Used:
        """What a statement uses."""
        nodes, used = list(ast.walk(node)), list[Symbol]()
        hints = [hint for n in nodes if isinstance(n, Function) for hint in _hints(n)]
        typed = {"self": [Symbol(module.name, symbol.name)]} if symbol.attribute else {}
        for name, hint in hints:
            classes = [s for n in ast.walk(hint) for s in self._class(n, module)]
            typed[name] = [*typed.get(name, []), *classes]
            used += [s for s in classes if not self._follows(s.module)]
        hinted = {id(n) for _, hint in hints for n in ast.walk(hint)}
        for n in nodes:
            if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name):
                owners = typed.get(n.value.id, [])
                used += [o._replace(attribute=n.attr) for o in owners if self._follows(o.module)]
                source, inner = module.imported.get(n.value.id, ("", ""))
                used += [Symbol(source, n.attr)] if source and not inner else []
            elif isinstance(n, ast.Name) and id(n) not in hinted:
                used += self._named(n.id, module)
            elif isinstance(n, ast.Import | ast.ImportFrom):
                used += [Symbol(*found) for found in bound(n, self._sources).values()]
        text = module.text(node)
        texts = frozenset(_TEXT.findall(text))
        used += [Symbol(name, "") for name in texts if "." in name]
        beside = self._sources.paths[module.name].parent
        return self._sorted(text, used, self._sources.data(text, texts, beside))

    def _sorted(self, text: str, used: Iterable[Symbol], data: frozenset[Path]) -> Used:
        """Symbols to follow, and modules that count whole; other packages' code is left out."""
        ours = [symbol for symbol in used if symbol.module in self._sources.paths]
        near = frozenset(s for s in ours if self._follows(s.module) and s.name)
        whole = frozenset(s.module for s in ours if not self._follows(s.module))
        return Used(text, near, whole, data)

    def _named(self, name: str, module: Module) -> list[Symbol]:
        if name in module.definitions:
            return [Symbol(module.name, name)]
        return [Symbol(*module.imported[name])] if name in module.imported else []

    def _class(self, node: ast.AST, module: Module) -> list[Symbol]:
        """The class that a name in an annotation stands for."""
        if not isinstance(node, ast.Name):
            return []
        own = isinstance(module.definitions.get(node.id), ast.ClassDef)
        return self._named(node.id, module) if own or node.id in module.imported else []

    def _follows(self, module: str) -> bool:
        return any(module.startswith(f"{package}.") for package in self._packages)


def _defined(node: ast.stmt) -> str:
    """The name that a statement of a class body defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return next((target.id for target in targets if isinstance(target, ast.Name)), "")


def _hints(function: Function) -> Iterator[tuple[str, ast.expr]]:
    """Arguments with their annotations, and the return annotation."""
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if argument.annotation is not None:
            yield argument.arg, argument.annotation
    if not isinstance(function, ast.Lambda) and function.returns is not None:
        yield "", function.returns


def code_hash(
    work: Callable[..., object], workspace: type, settings: type, sources: Sources | None = None
) -> str:
    """Hash of the code and data that a stage's `work` may use, and of the version of plenary.

    Definitions are followed name by name in the packages of `work` and `workspace`, all but the
    class `settings`, whose values a stage names itself.
    """
    sources = sources or _installed()
    start = Symbol(work.__module__, work.__qualname__.partition(".")[0])
    if start.module not in sources.paths:
        return _hash(sources, (), (), ())
    packages = frozenset(own.__module__.rpartition(".")[0] for own in (work, workspace))
    follower = _follower(sources, packages, Symbol(settings.__module__, settings.__name__))
    found = follower.reached(start)
    return _hash(
        sources,
        (f"{symbol}\0{used.text}" for symbol, used in found.items()),
        (module for used in found.values() for module in used.modules),
        (path for used in found.values() for path in used.data),
    )


def module_hash(*modules: str) -> str:
    """Hash of modules, of all they import, and of the data they read."""
    return _hash(_installed(), (), modules, ())


@cache
def _installed() -> Sources:
    return Sources(Path(str(plenary.__file__)).parents[1], configs_folder())


@cache
def _follower(sources: Sources, packages: frozenset[str], settings: Symbol) -> Follower:
    return Follower(sources, packages, settings)


def _hash(
    sources: Sources, pieces: Iterable[str], modules: Iterable[str], data: Iterable[Path]
) -> str:
    files = {*data, *sources.closure(modules)}
    parts = [plenary.__version__, *sorted(pieces), *sorted(map(sources.digest, files))]
    return content_hash("\n".join(parts))
