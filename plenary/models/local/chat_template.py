"""From conversations to token ids: chat template, system role, today's date, answer position.

The rule for the answer position: render the conversation with each label as the assistant's
message, tokenise, and cut at the first token that differs. Everything before the cut is the prompt
(including think block, channel header and leading space); the tokens that differ are the answer
tokens in their context.

The rule for the text: everything that is passed in must appear in the prompt. If a template refuses
or drops the system text, it is put at the start of the first user message; a template that drops
anything else is refused. ChatRenderer(day) sets the date that a template prints as today's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jinja2.exceptions import TemplateError

from plenary.errors import BackendError
from plenary.models.base import Conversation, Message
from plenary.models.local.prefix_batching import TokenRow

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_REMEMBERED = 20_000
_MARKER = re.compile(r"<[|/]?[A-Za-z_][^<>\s]{0,40}>|\[/?[A-Z_]{2,20}\]")
_PROBE_LABELS = ("A", "B")
_PROBE_ANSWER = "slotanswerword"
# Exceptions that a template's code may raise, directly or by raise_exception.
_TEMPLATE_ERRORS = (
    TemplateError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError,
)  # fmt: skip
_DATED = ("strftime_now", "date_string")
_FORMATS = (
    "%-d",
    "%-m",
    "%-y",
    "%-H",
    "%-I",
    "%-M",
    "%-j",
    *(f"%{c}" for c in "aAbBcdfGHIjmMpSuUVwWxXyYZz%"),
)
_BLOCK = re.compile(r"<(/?)((?:\w+:)?(?:think|thinking|thought|reason|reasoning))>|\[(/?)THINK\]")


class AnswerTokens(NamedTuple):
    """Token ids of each label at the answer position; `end`: the control token after an answer."""

    labels: tuple[tuple[int, ...], ...]
    end: int | None


class AnswerPrompts(NamedTuple):
    """Prompts up to the answer position [N], and the answer tokens in each one's context [N]."""

    rows: list[TokenRow]
    answers: list[AnswerTokens]


class _Shape(NamedTuple):
    """How conversations with the same sequence of roles are rendered.

    folded: the system text goes into the first user message. opening: None if the answer is printed
    like an assistant's message; otherwise the answer follows the generation prompt and this text,
    which ends the reasoning that the prompt began, and `ending` follows the answer. pieces:
    template text around the contents, None if the template does more than put text around contents.
    cuts: where each inner piece may be cut for tokenising.
    """

    folded: bool
    opening: str | None
    ending: str
    pieces: tuple[str, ...] | None = None
    cuts: tuple[int, ...] | None = None


def _fold(conversation: Conversation) -> Conversation:
    """Put the system text at the start of the first user message."""
    system, first, *rest = conversation
    return (Message("user", f"{system.content}\n\n{first.content}"), *rest)


def _left_open(text: str) -> str | None:
    """The text that closes the reasoning block left open by `text`; None if none is open."""
    found = list(_BLOCK.finditer(text))
    if not found or found[-1].group(1) or found[-1].group(3):
        return None
    name = found[-1].group(2)
    between = "" if text.endswith("\n") else "\n"
    return f"{between}\n{f'</{name}>' if name else '[/THINK]'}\n\n"


def _common(rows: Sequence[Sequence[int]]) -> int:
    shortest = min(len(row) for row in rows)
    for k in range(shortest):
        if len({row[k] for row in rows}) > 1:
            return k
    return shortest


def _overlap(rows: Sequence[Sequence[int]]) -> bool:
    """Whether one row is a prefix of another."""
    return any(
        list(b[: len(a)]) == list(a)
        for k, a in enumerate(rows)
        for m, b in enumerate(rows)
        if k != m
    )


class ChatRenderer:
    """Renders and tokenises conversations for one tokenizer; fast if its template allows it.

    day: the date that a template prints instead of today's; None: today. BackendError for a
    template that drops the user's text or, even in the user's message, the system text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, day: date | None = None) -> None:
        self._tokenizer = tokenizer
        self._now = datetime.combine(day or datetime.now(UTC).date(), time())
        self._template = self._chat_template()
        added = {str(token) for token in tokenizer.added_tokens_decoder.values()}
        special = {
            *tokenizer.all_special_tokens,
            *(text for text in added if _MARKER.fullmatch(text)),
        }
        self._special = sorted((text for text in special if len(text) > 2), key=len, reverse=True)
        self._special_ids = frozenset(tokenizer.all_special_ids)
        self._markers: set[str] = set()
        self._control = self._compile(self._special)
        self._shapes: dict[tuple[str, ...], _Shape] = {}
        self._ids: dict[str, TokenRow] = {}
        self._answers: dict[tuple[str, str, tuple[str, ...]], tuple[TokenRow, AnswerTokens]] = {}
        self._learn(("user",))
        self._learn(("system", "user"))

    @property
    def manner(self) -> str:
        """Deviations from plain rendering, as part of a backend's name: "/folded/2026-12-01"."""
        folded = "/folded" if self._shapes["system", "user"].folded else ""
        return folded + (f"/{self._now:%Y-%m-%d}" if self.dated else "")

    @property
    def dated(self) -> bool:
        """Whether the template prints a date."""
        return any(word in self._template for word in _DATED)

    def _chat_template(self) -> str:
        """The tokenizer's template, with the day instead of the clock."""
        try:
            template = str(self._tokenizer.get_chat_template())
        except ValueError as error:
            raise BackendError(
                f"tokenizer {self._tokenizer.name_or_path!r} has no chat template; "
                "use an instruction-tuned checkpoint"
            ) from error
        if "strftime_now" not in template:
            return template
        # A template can be given data but no functions, so the day is written into a macro of that
        # name.
        told = [f"| replace({f!r}, {self._now.strftime(f)!r})" for f in _FORMATS]
        macro = f"{{%- macro strftime_now(form) -%}}{{{{ form {' '.join(told)} }}}}"
        return f"{macro}{{%- endmacro %}}\n{template}"

    @staticmethod
    def _compile(texts: Sequence[str]) -> re.Pattern[str] | None:
        return re.compile("|".join(map(re.escape, texts)), re.IGNORECASE) if texts else None

    def clean(self, text: str) -> str:
        """`text` without control tokens of the tokenizer or template, and without outer blanks."""
        while self._control is not None and self._control.search(text):
            text = self._control.sub(" ", text)
        return text.strip()

    def answer_prompts(
        self, conversations: Sequence[Conversation], labels: tuple[str, ...] = _PROBE_LABELS
    ) -> AnswerPrompts:
        """Token rows up to the position where the assistant's answer starts."""
        parts = [self._segments(conversation, labels) for conversation in conversations]
        self._remember(segment for heads, tails in parts for segment in (*heads, *tails))
        rows, answers = [], []
        for heads, tails in parts:
            row, answer = self._cut(tails, labels)
            rows.append(np.concatenate([*(self._ids[head] for head in heads), row]))
            answers.append(answer)
        if len(self._ids) > _REMEMBERED:
            self._ids.clear()
            self._answers.clear()
        return AnswerPrompts(rows, answers)

    def _cut(
        self, tails: tuple[str, ...], labels: tuple[str, ...]
    ) -> tuple[TokenRow, AnswerTokens]:
        key = (tails[0], tails[-1], labels)
        if key not in self._answers:
            rows = [self._ids[tail].tolist() for tail in tails]
            cut = _common(rows)
            self._answers[key] = (
                self._ids[tails[0]][:cut],
                self._answer_tokens([row[cut:] for row in rows], labels),
            )
        return self._answers[key]

    def _answer_tokens(self, tails: list[list[int]], labels: tuple[str, ...]) -> AnswerTokens:
        """Label ids: the tails without their common ending (the end of the turn)."""
        ending = min(_common([tail[::-1] for tail in tails]), *(len(tail) - 1 for tail in tails))
        short = [tail[: len(tail) - ending] for tail in tails] if ending >= 0 else []
        if _overlap(short):
            short = tails
        if ending < 0 or _overlap(short):
            raise BackendError(
                f"tokenizer and chat template cannot tell the labels {labels!r} apart; "
                "use other labels"
            )
        end = tails[0][len(tails[0]) - ending] if ending else None
        return AnswerTokens(tuple(map(tuple, short)), end if end in self._special_ids else None)

    def _segments(
        self, conversation: Conversation, labels: tuple[str, ...]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Text in pieces to be tokenised separately, and the rest with each label as answer."""
        roles = tuple(message.role for message in conversation)
        shape = self._shapes.get(roles) or self._learn(roles)
        messages = tuple(Message(m.role, self.clean(m.content)) for m in conversation)
        messages = _fold(messages) if shape.folded else messages
        contents = [m.content for m in messages]
        if shape.pieces is None:
            return (), self._rendered_apart(messages, labels, shape)
        if shape.cuts is None:
            return (), tuple(self._join(shape.pieces, [*contents, label]) for label in labels)
        heads, rest = [], shape.pieces[0]
        for content, piece, cut in zip(contents, shape.pieces[1:-1], shape.cuts, strict=True):
            heads.append(f"{rest}{content}{piece[:cut]}")
            rest = piece[cut:]
        return tuple(heads), tuple(f"{rest}{label}{shape.pieces[-1]}" for label in labels)

    def _rendered_apart(
        self, messages: Conversation, labels: tuple[str, ...], shape: _Shape
    ) -> tuple[str, ...]:
        try:
            return tuple(self._whole(messages, label, shape) for label in labels)
        except BackendError as error:
            raise BackendError(
                f"the chat template of tokenizer {self._tokenizer.name_or_path!r} does not print a "
                f"conversation as it is: {error}; use a model whose template prints every text"
            ) from error

    @staticmethod
    def _join(pieces: Sequence[str], contents: Sequence[str]) -> str:
        return "".join(
            piece + content for piece, content in zip(pieces, [*contents, ""], strict=True)
        )

    def _render(self, conversation: Conversation, *, prompt: bool = False) -> str:
        """The rendered text; `prompt` adds the start of an assistant's message."""
        try:
            rendered = self._tokenizer.apply_chat_template(
                [{"role": m.role, "content": m.content} for m in conversation],
                chat_template=self._template,
                tokenize=False,
                add_generation_prompt=prompt,
                enable_thinking=False,
                date_string=self._now.strftime("%d %b %Y"),
            )
        except _TEMPLATE_ERRORS as error:
            raise BackendError(f"it answers {str(error)[:200]!r}") from error
        return str(rendered)

    def _learn(self, roles: tuple[str, ...]) -> _Shape:
        """Find out, once per sequence of roles, what the template puts around contents."""
        told = tuple(Message(role, f"slot{k}word") for k, role in enumerate(roles))  # type: ignore[arg-type]
        faults: list[BackendError] = []
        for folded in (False, True) if roles[:2] == ("system", "user") else (False,):
            messages = _fold(told) if folded else told
            try:
                shape = self._position(messages, folded=folded)
                text = self._whole(messages, _PROBE_ANSWER, shape)
            except BackendError as error:
                faults.append(error)
                continue
            return self._keep(roles, shape, text, [m.content for m in messages])
        raise BackendError(
            f"the chat template of tokenizer {self._tokenizer.name_or_path!r} refuses the roles "
            f"{roles!r}: {faults[-1]}; reorder them, or use a model whose template prints them"
        ) from faults[-1]

    def _position(self, messages: Conversation, *, folded: bool) -> _Shape:
        """Where an answer goes: in an assistant's message, but never within its reasoning."""
        last = messages[-1].content
        asked = self._render(messages, prompt=True)
        try:
            said = self._render((*messages, Message("assistant", _PROBE_ANSWER)))
        except BackendError:  # a template that requires the user to speak last
            said = ""
        before, found, ending = said.rpartition(_PROBE_ANSWER)
        start, opening = before.rpartition(last)[2], _left_open(asked.rpartition(last)[2])
        if found and (opening is None or _BLOCK.search(start)) and _left_open(start) is None:
            return _Shape(folded, None, "")
        if opening is None and (found or asked == self._render(messages)):
            raise BackendError("it prints an assistant's answer only within reasoning")
        return _Shape(folded, opening or "", ending if found else "")

    def _whole(self, messages: Conversation, label: str, shape: _Shape) -> str:
        """The rendered conversation with its answer; BackendError if a message is missing in it."""
        if shape.opening is None:
            text = self._render((*messages, Message("assistant", label)))
        else:
            text = f"{self._render(messages, prompt=True)}{shape.opening}{label}{shape.ending}"
        for message in messages:
            if message.content not in text:
                raise BackendError(
                    f"it drops or changes the {message.role}'s text {message.content[:80]!r}"
                )
        return text

    def _keep(
        self, roles: tuple[str, ...], shape: _Shape, text: str, contents: list[str]
    ) -> _Shape:
        contents = [*contents, _PROBE_ANSWER]
        pieces = self._pieces(text, contents)
        cuts = self._cuts(pieces, contents, text) if pieces else None
        self._shapes[roles] = shape._replace(pieces=pieces, cuts=cuts)
        # Text such as [INST] may steer the model even if the tokenizer does not know it as a
        # control token.
        self._markers |= {
            found.group() for piece in pieces or () for found in _MARKER.finditer(piece)
        }
        self._control = self._compile([*self._special, *sorted(self._markers)])
        return self._shapes[roles]

    @staticmethod
    def _pieces(text: str, contents: Sequence[str]) -> tuple[str, ...] | None:
        pieces, rest = [], text
        for content in contents:
            before, found, after = rest.partition(content)
            if not found or content in after:
                return None
            pieces.append(before)
            rest = after
        return (*pieces, rest)

    def _cuts(
        self, pieces: tuple[str, ...], contents: list[str], text: str
    ) -> tuple[int, ...] | None:
        """Start of each inner piece's first control token, if cutting there changes no token."""
        cuts = []
        for piece in pieces[1:-1]:
            found = [
                at
                for at in (piece.find(token) for token in self._tokenizer.all_special_tokens)
                if at >= 0
            ]
            if not found:
                return None
            cuts.append(min(found))
        rest, segments = pieces[0], []
        for content, piece, cut in zip(contents[:-1], pieces[1:-1], cuts, strict=True):
            segments.append(f"{rest}{content}{piece[:cut]}")
            rest = piece[cut:]
        segments.append(f"{rest}{contents[-1]}{pieces[-1]}")
        whole, *parts = self._encode([text, *segments])
        return tuple(cuts) if whole == [token for part in parts for token in part] else None

    def _encode(self, texts: list[str]) -> list[list[int]]:
        encoded = self._tokenizer(texts, add_special_tokens=False, return_attention_mask=False)
        return list(encoded["input_ids"])  # type: ignore[arg-type]

    def _remember(self, segments: Iterable[str]) -> None:
        fresh = [text for text in dict.fromkeys(segments) if text not in self._ids]
        if fresh:
            for text, ids in zip(fresh, self._encode(fresh), strict=True):
                self._ids[text] = np.array(ids, dtype=np.int32)
