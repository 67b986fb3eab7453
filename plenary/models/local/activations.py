"""Reading and steering the residual stream of a transformers model through hooks.

Shapes: B rows of a batch, S padded length, D width. Rows are padded on the right, so with causal
attention no real token sees padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from plenary.errors import BackendError
from plenary.models.activations import Activations, Interior, MarkedText
from plenary.models.base import Conversation
from plenary.models.local.chat_template import ChatRenderer
from plenary.models.local.padding import pad
from plenary.models.local.prefix_batching import TokenRow
from plenary.preferences import FloatArray

ROWS, MOST_LAYERS, DEPTHS, BLANK = 32, 12, 5, "#"
_Change = Callable[[Tensor], Tensor | None]


class _Span(NamedTuple):
    """A token row, and the span start..end in it that is read or steered."""

    row: TokenRow
    start: int
    end: int


class _Batch(NamedTuple):
    """Positions of the rows [B]; ids, mask (1: real token) and inside (1: in the span) [B, S]."""

    at: list[int]
    ids: Tensor
    mask: Tensor
    inside: Tensor


@contextmanager
def _hook(module: nn.Module, change: _Change) -> Iterator[None]:
    """While open, `change` receives the module's hidden states [B, S, D] and may replace them."""

    def after(_: nn.Module, __: object, output: Tensor | tuple[Tensor, ...]) -> object:
        new = change(output[0] if isinstance(output, tuple) else output)
        if new is None:
            return None
        return (new, *output[1:]) if isinstance(output, tuple) else new

    handle = module.register_forward_hook(after)
    try:
        yield
    finally:
        handle.remove()


def _chosen(blocks: int) -> tuple[int, ...]:
    """All layers of a small model, otherwise five depths; 0 is the embeddings."""
    if blocks <= MOST_LAYERS:
        return tuple(range(blocks + 1))
    return tuple(np.linspace(0, blocks, DEPTHS).round().astype(int).tolist())


class LocalInterior(Interior):
    """The activations of one loaded model; `held` keeps other threads out during a computation."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        held: Callable[[], AbstractContextManager[None]],
        renderer: ChatRenderer | None = None,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._renderer = renderer or ChatRenderer(tokenizer)
        self._held = held
        self._device = next(model.parameters()).device
        blocks = int(model.config.get_text_config().num_hidden_layers)
        lists = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == blocks]
        if not lists:
            raise BackendError(
                f"{type(model).__name__!r} does not keep its {blocks} blocks in a readable list; "
                "use a model of another family"
            )
        self._places = [cast("nn.Module", model.get_input_embeddings()), *lists[0]]
        self.layers = _chosen(blocks)

    def read(self, texts: Sequence[str]) -> Activations:
        """Activations of texts on their own, with the tokenizer's start token if it has one."""
        ids = cast("list[list[int]]", self._tokenizer(list(texts))["input_ids"])
        starts = [len(row) - len(self._plain(t)) for row, t in zip(ids, texts, strict=True)]
        return self._read(
            [
                _Span(np.array(row, dtype=np.int32), s, len(row))
                for row, s in zip(ids, starts, strict=True)
            ]
        )

    def read_marked(self, marked: Sequence[MarkedText]) -> Activations:
        """Activations of the marked texts inside their conversations."""
        return self._read(self._spans(marked))

    def lead(
        self,
        marked: Sequence[MarkedText],
        labels: tuple[str, str],
        layer: int,
        pushes: FloatArray,
    ) -> FloatArray:
        """Log odds [R, N] of the first label over the second, with each push [D] added in turn."""
        spans = self._spans(marked)
        answers = self._renderer.answer_prompts([m.conversation for m in marked], labels).answers
        if any(len(label) > 1 for answer in answers for label in answer.labels):
            raise BackendError(f"labels {labels!r} are several tokens; use single letters")
        tokens = np.array([[label[0] for label in a.labels] for a in answers], dtype=np.int64)
        result = np.empty((len(pushes), len(spans)))
        added = torch.tensor(pushes, dtype=self._model.dtype, device=self._device)
        with self._held(), torch.inference_mode():
            for at, ids, mask, inside in self._batches(spans):
                wanted = torch.from_numpy(tokens[at]).to(self._device)
                place = inside[..., None].to(added.dtype)
                for k, push in enumerate(added):
                    with _hook(self._places[layer], partial(torch.add, place * push)):
                        chosen = self._last_logits(ids, mask).gather(1, wanted).double()
                    result[k, at] = (chosen[:, 0] - chosen[:, 1]).cpu().numpy()
        return result

    def untrained(self, seed: int) -> Interior:
        """A copy of the architecture with untrained weights."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            fresh = AutoModelForCausalLM.from_config(self._model.config, dtype=torch.float32)
        fresh = cast("PreTrainedModel", fresh.to(self._device).eval())
        return LocalInterior(fresh, self._tokenizer, self._held, self._renderer)

    def _plain(self, text: str) -> list[int]:
        return cast("list[int]", self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _spans(self, marked: Sequence[MarkedText]) -> list[_Span]:
        """Where the marked texts are: the tokens that change when a blank replaces them."""
        full = self._renderer.answer_prompts([m.conversation for m in marked]).rows
        blanked = self._renderer.answer_prompts([_blanked(m) for m in marked]).rows
        spans = []
        for row, other, mark in zip(full, blanked, marked, strict=True):
            shorter = min(len(row), len(other))
            start = _agreeing(row[:shorter], other[:shorter])
            end = len(row) - min(
                _agreeing(row[::-1][:shorter], other[::-1][:shorter]), shorter - start
            )
            if end <= start:
                raise BackendError(
                    f"text {mark.text!r} is not a token of its own; mark longer text"
                )
            spans.append(_Span(row, start, end))
        return spans

    def _read(self, spans: Sequence[_Span]) -> Activations:
        width = int(self._model.config.get_text_config().hidden_size)
        last, mean = np.empty((2, len(self.layers), len(spans), width))
        with self._held(), torch.inference_mode():
            for at, ids, mask, inside in self._batches(spans):
                ends = [spans[k].end - 1 for k in at]
                for level, hidden in enumerate(self._forward(ids, mask)):
                    share = (inside / inside.sum(dim=1, keepdim=True)).to(hidden.dtype)
                    mean[level, at] = (hidden * share[..., None]).sum(dim=1).float().cpu().numpy()
                    last[level, at] = hidden[range(len(at)), ends].float().cpu().numpy()
        return Activations(last, mean)

    def _forward(self, ids: Tensor, mask: Tensor) -> list[Tensor]:
        """Hidden states [B, S, D] at every layer read."""
        seen: dict[int, Tensor] = {}

        def keep(layer: int) -> _Change:
            return lambda hidden: seen.__setitem__(layer, hidden)

        with ExitStack() as hooks:
            for layer in self.layers:
                hooks.enter_context(_hook(self._places[layer], keep(layer)))
            self._model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)
        return [seen[layer] for layer in self.layers]

    def _last_logits(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Logits [B, V] after each row's last token."""
        last = mask.sum(dim=1) - 1
        columns, inverse = torch.unique(last, return_inverse=True)
        output = self._model(
            input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=columns
        )
        return output.logits[torch.arange(len(last), device=self._device), inverse].float()

    def _batches(self, spans: Sequence[_Span]) -> Iterator[_Batch]:
        """Batches of rows of similar length."""
        order = np.argsort([len(span.row) for span in spans], kind="stable").tolist()
        for begin in range(0, len(order), ROWS):
            at = order[begin : begin + ROWS]
            ids, mask = (part.to(self._device) for part in pad([spans[k].row for k in at]))
            inside = torch.zeros_like(mask)
            for b, k in enumerate(at):
                inside[b, spans[k].start : spans[k].end] = 1
            yield _Batch(at, ids, mask, inside)


def _agreeing(a: TokenRow, b: TokenRow) -> int:
    """Length of the common prefix of two rows of equal length."""
    differs = a != b
    return int(differs.argmax()) if differs.any() else len(a)


def _blanked(marked: MarkedText) -> Conversation:
    """The conversation with the marked text replaced by a blank."""
    *before, last = marked.conversation
    head, found, tail = last.content.rpartition(marked.text)
    if not found:
        raise BackendError(f"text {marked.text!r} is not in {last.content!r}; mark a text that is")
    return (*before, last._replace(content=f"{head}{BLANK}{tail}"))
