"""Reading files that users wrote, as text, YAML or JSON: a bad file is refused, never misread.

One reader per format: text, YAML and JSON here, tables in plenary.table_files. A reader that takes
a path also takes the `name` of what the file holds and the error to raise; the message quotes the
file, the place and the value, and ends with what to do.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Hashable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from plenary.errors import PlenaryError

MOST_ALIASES, LONGEST_VALUE = 32, 120
MOST_UNPACKED = 2**30
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
Refusal = type[PlenaryError]

# What gzip and zipfile raise for archives that are cut, damaged, encrypted or oddly packed.
BROKEN_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile, RuntimeError)
# UTF-32 before UTF-16, whose mark begins in the same way.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_PREFIX = "tag:yaml.org,2002:"
# Tags that YAML gives to unquoted words.
_TYPED = tuple(_PREFIX + kind for kind in ("bool", "int", "float", "timestamp"))
_KEY_TAGS = (*_TYPED, *(_PREFIX + kind for kind in ("str", "null", "value", "merge")))
_WANTS_TEXT = ("string_type", "literal_error", "enum")


class Unreadable(ValueError):
    """What is wrong with a file's content, worded to follow its name; ends with what to do."""


def marked_encoding(content: bytes) -> tuple[int, str]:
    """Length of the byte order mark at the start, and its encoding; UTF-8 if there is no mark."""
    found = (mark for mark in _MARKS if content.startswith(mark[0]))
    mark, encoding = next(found, (b"", "utf-8"))
    return len(mark), encoding


def decoded(content: bytes) -> str:
    """Text in UTF-8, or in UTF-16 or UTF-32 with a byte order mark; otherwise Unreadable."""
    start, encoding = marked_encoding(content)
    try:
        text = content[start:].decode(encoding)
    except UnicodeDecodeError as error:
        at = start + error.start
        line = content.count(b"\n", 0, at) + 1
        raise Unreadable(
            f"is not {encoding.upper()}: byte {content[at]:#04x} at position {at}, line {line}, "
            "is not part of a character; save it as UTF-8"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise Unreadable(f"holds a zero byte in line {line}, so it is not text; save it as UTF-8")
    return text


def ending(path: Path) -> str:
    """The ending that gives the format, in lower case; for a packed file, that of its content."""
    outer = path.suffix.lower()
    if outer not in (".gz", ".zip"):
        return outer
    inner = Path(path.stem).suffix.lower()
    if inner or outer == ".gz":
        return inner
    try:
        with zipfile.ZipFile(path) as archive:
            names = members(archive)
    except (OSError, ValueError, *BROKEN_ARCHIVE):
        return outer
    return Path(names[0]).suffix.lower() if len(names) == 1 else outer


def members(archive: zipfile.ZipFile) -> list[str]:
    """Files of an archive, without the resource forks that macOS adds."""
    return [
        name
        for name in archive.namelist()
        if not name.endswith("/") and not name.startswith("__MACOSX/")
    ]


def read_bytes(path: Path, name: str, refusal: Refusal) -> bytes:
    """Content of a file, unpacked where it ends in .gz or .zip."""
    try:
        content = path.read_bytes()
        unpack = {".gz": _gunzipped, ".zip": _unzipped}.get(path.suffix.lower())
        return content if unpack is None else unpack(content)
    except Unreadable as error:
        raise refusal(f"{name} {str(path)!r} {error}") from error
    except BROKEN_ARCHIVE as error:
        raise refusal(
            f"{name} {str(path)!r} is truncated or damaged: {error}; download it again"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise refusal(f"cannot read {name} {str(path)!r}: {reason}; check the path") from error


def _gunzipped(content: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
        return _bounded(stream.read(MOST_UNPACKED + 1))


def _unzipped(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = members(archive)
        if len(names) != 1:
            raise Unreadable(f"holds the files {names[:4]!r}; pack one file, or unpack it")
        with archive.open(names[0]) as stream:
            return _bounded(stream.read(MOST_UNPACKED + 1))


def _bounded(content: bytes) -> bytes:
    if len(content) > MOST_UNPACKED:
        raise Unreadable(f"unpacks to more than {MOST_UNPACKED} bytes; give the file unpacked")
    return content


def read_text(path: Path, name: str, refusal: Refusal) -> str:
    """Text of a file, with its line breaks unchanged."""
    content = read_bytes(path, name, refusal)
    return understood(lambda: decoded(content), path, name, refusal)


def understood(read: Callable[[], T], path: Path, name: str, refusal: Refusal) -> T:
    """What `read` returns; its Unreadable becomes `refusal`, with the file's name."""
    try:
        return read()
    except Unreadable as error:
        raise refusal(f"{name} {str(path)!r} {error}") from error


class Written(dict[Hashable, object]):
    """A mapping that also keeps, by key, how its numbers, flags and dates were written."""

    def __init__(self) -> None:
        super().__init__()
        self.words: dict[object, str] = {}

    def put(self, key: str, text: str) -> None:
        """Set a key to the value of YAML text; YAMLError for whatever is wrong with it."""
        self[key] = yaml_tree(text)
        self.words.pop(key, None)
        if isinstance(self[key], bool | int | float | date) and len(text.split()) == 1:
            self.words[key] = text.strip()


class _List(list[object]):
    """A list that also keeps, by position, how its numbers, flags and dates were written."""

    def __init__(self) -> None:
        super().__init__()
        self.words: dict[object, str] = {}


class _Loader(yaml.SafeLoader):
    """Plain values only, no repeated keys, and few aliases, because nested ones make gigabytes."""

    aliases = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node; YAMLError beyond MOST_ALIASES."""
        if self.check_event(yaml.AliasEvent):
            self.aliases += 1
            if self.aliases > MOST_ALIASES:
                raise yaml.YAMLError(f"more than {MOST_ALIASES} aliases")
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        """Compose a mapping; YAMLError for a key that it repeats, before merge keys are merged."""
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _PREFIX + "merge":
                line = key.start_mark.line + 1
                if key.value in lines:
                    raise yaml.YAMLError(
                        f"key {key.value!r} stands in line {lines[key.value]} and again in line "
                        f"{line}; keep one"
                    )
                lines[key.value] = line
        return node

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> str:
        """The text of a scalar; YAMLError for half of a surrogate pair."""
        text = str(super().construct_scalar(node))
        if not _whole(text):
            raise yaml.YAMLError(f"half a character in {text!r}")
        return text

    def map(self, node: yaml.MappingNode) -> Iterator[Written]:
        """A mapping whose keys stay as written: 1, 01 and yes are words."""
        made = Written()
        yield made
        self.flatten_mapping(node)
        for key_node, value_node in node.value:
            key: object = (
                self.construct_scalar(key_node)
                if isinstance(key_node, yaml.ScalarNode) and key_node.tag in _KEY_TAGS
                else self.construct_object(key_node, deep=True)
            )
            if not isinstance(key, Hashable):
                raise yaml.YAMLError(f"key {key!r} in line {key_node.start_mark.line + 1}")
            made[key] = self.construct_object(value_node)
            _keep_words(made.words, key, value_node)

    def seq(self, node: yaml.SequenceNode) -> Iterator[_List]:
        """A list."""
        made = _List()
        yield made
        for at, value_node in enumerate(node.value):
            made.append(self.construct_object(value_node))
            _keep_words(made.words, at, value_node)


def _keep_words(words: dict[object, str], at: object, node: yaml.Node) -> None:
    words.pop(at, None)
    if isinstance(node, yaml.ScalarNode) and node.style is None and node.tag in _TYPED:
        words[at] = node.value


_Loader.add_constructor(_PREFIX + "map", _Loader.map)
_Loader.add_constructor(_PREFIX + "seq", _Loader.seq)


def _whole(text: str) -> bool:
    """Whether a text is free of lone surrogates, which no file can hold."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def yaml_tree(text: str) -> object:
    """The values in YAML text; YAMLError for whatever is wrong with it."""
    try:
        return yaml.load(text, _Loader)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        # PyYAML does not catch what int, date and deep nesting raise.
        raise yaml.YAMLError(f"{type(error).__name__}: {str(error)[:200]}") from error


def json_tree(text: str) -> object:
    """The values in JSON text; ValueError for anything wrong with it, repeated keys included."""
    try:
        tree = json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite
        )
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if "\\u" in text:
        for word in _texts(tree):
            if not _whole(word):
                raise ValueError(f"half a character in {word[:60]!r}")
    return tree


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {key!r} comes twice in one object; keep one")
        found[key] = value
    return found


def _no_number(word: str) -> object:
    raise ValueError(f"{word} is not a number; write null where there is none")


def _finite(word: str) -> float:
    number = float(word)
    return number if math.isfinite(number) else float(str(_no_number(word)))


def _texts(tree: object) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _texts(key)
            yield from _texts(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _texts(value)


def read_tree(path: Path, name: str, refusal: Refusal) -> object:
    """The values in a YAML file, or in a JSON file by its ending."""
    text = read_text(path, name, refusal)
    try:
        return json_tree(text) if ending(path) == ".json" else yaml_tree(text)
    except yaml.YAMLError as error:
        raise refusal(
            f"{name} {str(path)!r} is not YAML: {yaml_fault(error)}; fix the file"
        ) from error
    except ValueError as error:
        raise refusal(f"{name} {str(path)!r} is not JSON: {error}; fix the file") from error


def yaml_fault(error: yaml.YAMLError) -> str:
    """What is wrong with YAML text, in one line with its place."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}"
    return " ".join(str(error).split())


def read_json_lines(path: Path, name: str, refusal: Refusal) -> list[tuple[int, object]]:
    r"""Line numbers and values of a JSONL file; a line ends at \n or \r, never at U+2028."""
    found: list[tuple[int, object]] = []
    text = read_text(path, name, refusal)
    for number, line in enumerate(re.split("\r\n|\n|\r", text), 1):
        if line.strip():
            try:
                found.append((number, json_tree(line)))
            except ValueError as error:
                raise refusal(
                    f"line {number} of {path.name!r} is not JSON: {error}; fix the line"
                ) from error
    return found


def read_file(model: type[M], path: Path, name: str, refusal: Refusal) -> M:
    """A `model` in a YAML or JSON file; `refusal`, with the file's `name`, for any other."""
    tree = read_tree(path, name, refusal)
    try:
        return fitted(model, tree)
    except ValidationError as error:
        raise refusal(f"{name} {str(path)!r} {first_fault(error)}; fix the file") from error


def fitted(model: type[M], tree: object) -> M:
    """A `model` from a tree; where it wants text, a YAML number or flag is taken as written."""
    while True:
        try:
            return model.model_validate(tree)
        except ValidationError as error:
            wanted = [e["loc"] for e in error.errors() if e["type"] in _WANTS_TEXT]
            taken = [_as_written(tree, place) for place in wanted]
            if not any(taken):
                raise


def _as_written(tree: object, place: tuple[int | str, ...]) -> bool:
    """Replace a value by how it was written; False if the file holds no such text."""
    here = tree
    for step in place:
        if not isinstance(here, Written | _List):
            return False
        if step in here.words:
            here[step] = here.words.pop(step)  # pyright: ignore[reportArgumentType, reportCallIssue]
            return True
        try:
            here = here[step]  # pyright: ignore[reportArgumentType, reportCallIssue]
        except (LookupError, TypeError):
            return False
    return False


def first_fault(error: ValidationError) -> str:
    """The first of what is wrong, as "has VALUE at 'PLACE': reason"."""
    first = error.errors()[0]
    value = repr(first.get("input"))
    if len(value) > LONGEST_VALUE:
        value = f"{value[:LONGEST_VALUE]}..."
    place = ".".join(map(str, first["loc"]))
    return f"has {value}{f' at {place!r}' if place else ''}: {first['msg']}"
