"""Which attributes of which classes the code reads, by the annotations that stand in it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator

Kinds = defaultdict[str, set[str]]


def named(hint: ast.AST) -> set[str]:
    """The names in an annotation."""
    return {n.id for n in ast.walk(hint) if isinstance(n, ast.Name)}


def assigned(nodes: Iterable[ast.AST]) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Targets with the values they get; tuples taken apart."""
    for node in nodes:
        for target in node.targets if isinstance(node, ast.Assign) else ():
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                yield from zip(target.elts, node.value.elts, strict=True)
            else:
                yield target, node.value


class Declared:
    """What the classes of some modules say of their attributes."""

    def __init__(self, trees: Iterable[ast.Module]) -> None:
        self.of_class: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.of_any: Kinds = defaultdict(set)
        for node in (node for tree in trees for node in ast.walk(tree)):
            for member in node.body if isinstance(node, ast.ClassDef) else ():
                self._take(node.name, member)

    def _take(self, owner: str, member: ast.stmt) -> None:
        if isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
            self._add(owner, member.target.id, named(member.annotation))
        elif isinstance(member, ast.FunctionDef):
            if member.returns is not None:
                self._add(owner, member.name, named(member.returns))
            typed = Function(member, owner, self)
            for target, value in assigned(ast.walk(member)):
                if isinstance(target, ast.Attribute) and member.name == "__init__":
                    self._add(owner, target.attr, typed.kinds(value))

    def _add(self, owner: str, name: str, kinds: set[str]) -> None:
        self.of_class[owner, name] |= kinds
        self.of_any[name] |= kinds


class Function:
    """A function or another statement, and the classes that its names stand for."""

    def __init__(self, node: ast.stmt, owner: str, declared: Declared) -> None:
        self._nodes, self._declared = list(ast.walk(node)), declared
        self._typed: Kinds = defaultdict(set, {"self": {owner}})
        for inner in self._nodes:
            if isinstance(inner, ast.arg) and inner.annotation is not None:
                self._typed[inner.arg] |= named(inner.annotation)
        for target, value in assigned(self._nodes):
            if isinstance(target, ast.Name):
                self._typed[target.id] |= self.kinds(value)

    def kinds(self, value: ast.expr) -> set[str]:
        """Names of the classes that a value may be of."""
        if isinstance(value, ast.Name):
            return self._typed[value.id]
        if isinstance(value, ast.BoolOp):
            return {kind for part in value.values for kind in self.kinds(part)}
        if isinstance(value, ast.IfExp):
            return self.kinds(value.body) | self.kinds(value.orelse)
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
            return {value.func.id}
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            whole = self.kinds(value.func.value)
            return whole if value.func.attr == "model_copy" else named(value.func.value)
        if not isinstance(value, ast.Attribute):
            return set()
        of_class, owners = self._declared.of_class, self.kinds(value.value)
        known = [of_class[k, value.attr] for k in owners if (k, value.attr) in of_class]
        return set().union(*known) if known else self._declared.of_any[value.attr]

    def reads(self) -> set[tuple[str, str]]:
        """Pairs of a class and an attribute that is read of it."""
        return {
            (kind, node.attr)
            for node in self._nodes
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
            for kind in self.kinds(node.value)
        }


def attribute_reads(trees: Iterable[ast.Module]) -> set[tuple[str, str]]:
    """Pairs of a class and an attribute that is read of a value of it; validators do not count."""
    listed = list(trees)
    declared = Declared(listed)
    found = set[tuple[str, str]]()
    for node in (node for tree in listed for node in tree.body):
        owner = node.name if isinstance(node, ast.ClassDef) else ""
        for part in node.body if isinstance(node, ast.ClassDef) else [node]:
            checks = [d for d in getattr(part, "decorator_list", []) if "validator" in ast.dump(d)]
            if not checks:
                found |= Function(part, owner, declared).reads()
    return found
