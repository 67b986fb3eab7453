"""Forward passes over batches of prompts: label log-probabilities, replies, shared prefixes.

B rows of a batch, S padded length beyond the prefix, V vocabulary, D width. Rows with a common
prefix are padded on the RIGHT and read at their own last token: padding between prefix and suffix
would shift sliding windows, which count cache slots. For models without full attention, replies are
computed with padding on the left and without sharing.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, cast

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from plenary.errors import BackendError
from plenary.models.local.padding import pad
from plenary.models.local.prefix_batching import PrefixJob, TokenRow, one_run, plan_jobs, plan_runs
from plenary.preferences import FloatArray, IntArray

_PLAIN_HEAD_TOLERANCE = 1e-4
# Read once, because setting the count in a worker sets it for the whole process.
_THREADS = torch.get_num_threads()


class _FilledLayer(Protocol):
    """A cache layer that holds keys and values [B, heads, positions, width]."""

    keys: Tensor
    values: Tensor


class _Shown(NamedTuple):
    """What a forward pass sees: ids and positions [B, S], mask [B, cached + S], the cache."""

    ids: Tensor
    mask: Tensor
    positions: Tensor
    cache: DynamicCache | None


class _State(NamedTuple):
    """Logits [B, V] after the last token; cache, mask [B, cached] and next position [B]."""

    logits: Tensor
    cache: DynamicCache | None
    mask: Tensor
    following: Tensor


def _draw(logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """One token per row [B]: the most probable at temperature 0, else drawn by inverse CDF."""
    if temperature == 0:
        return logits.argmax(dim=-1)
    below = torch.softmax(logits / temperature, dim=-1).cumsum(dim=-1)
    return torch.searchsorted(below, (uniform * below[:, -1])[:, None], right=True)[:, 0].clamp(
        max=logits.shape[1] - 1
    )


# Computes the rows `members` of a job after the job's prefix.
_Work = Callable[[IntArray, PrefixJob, DynamicCache | None], None]


def _within_memory(
    work: _Work, members: IntArray, job: PrefixJob, cache: DynamicCache | None
) -> None:
    """Compute a batch, in halves if it does not fit the device's memory."""
    try:
        work(members, job, cache)
        return
    except torch.OutOfMemoryError as error:
        if len(members) == 1:
            raise BackendError(
                f"one prompt after {len(job.prefix)} shared tokens exceeds the memory: {error}; "
                "use a smaller model, chat.local.dtype=bfloat16 or a larger device"
            ) from error
    # Outside the handler, because the exception's frames hold the tensors of the failed batch.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    for half in np.array_split(members, 2):
        _within_memory(work, half, job, cache)


class Forward:
    """One causal language model, asked in batches of at most `batch_tokens` tokens."""

    def __init__(self, model: PreTrainedModel, pad: int, batch_tokens: int) -> None:
        self._model = model
        self._pad = pad
        self._batch_tokens = batch_tokens
        # transformers 5.24 renamed this argument and the field of the output.
        renamed = "cache" in inspect.signature(model.base_model.forward).parameters
        self._cache_argument = "cache" if renamed else "past_key_values"
        self._layers = self._cache_layers()
        self._plain_head = self._has_plain_head()

    @property
    def _device(self) -> torch.device:
        """Where the model is now: a trainer may move it."""
        return next(self._model.parameters()).device

    @property
    def _full_attention(self) -> bool:
        """Whether every layer attends to all earlier tokens, so cache gaps are harmless."""
        return self._layers == {DynamicLayer}

    @property
    def _shares(self) -> bool:
        """Whether the cache of a prefix can be continued by several rows."""
        return bool(self._layers) and self._layers <= {DynamicLayer, DynamicSlidingWindowLayer}

    def label_log_probs(self, rows: Sequence[TokenRow], labels: Sequence[int]) -> FloatArray:
        """Log-probability [N, L] over the whole vocabulary of each label token after each row."""
        result = np.empty((len(rows), len(labels)))
        wanted = torch.tensor(labels, device=self._device)

        def work(members: IntArray, job: PrefixJob, cache: DynamicCache | None) -> None:
            suffixes = self._suffixes(rows, members, job)
            logits = self._read(suffixes, cache, len(job.prefix), keep=False).logits
            chosen = logits[:, wanted] - torch.logsumexp(logits, dim=-1, keepdim=True)
            result[members] = chosen.double().cpu().numpy()

        runs = plan_runs(rows) if self._shares else [one_run(rows)]
        self._spread(work, plan_jobs(runs, rows, self._batch_tokens))
        return result

    @staticmethod
    def _suffixes(rows: Sequence[TokenRow], members: IntArray, job: PrefixJob) -> list[TokenRow]:
        return [rows[k][len(job.prefix) :] for k in members]

    def _spread(self, work: _Work, jobs: Sequence[PrefixJob]) -> None:
        """Run jobs in parallel, each on its share of the processor's threads.

        Parallel batches need no barrier within an operation: on a busy machine this is ten times as
        fast as two OpenMP threads in one batch.
        """
        workers = min(len(jobs), _THREADS) if self._device.type == "cpu" else 1

        def alone(job: PrefixJob) -> None:
            torch.set_num_threads(max(1, _THREADS // workers))
            with torch.inference_mode():
                cache = self._prefill(job.prefix)
                for members in job.batches:
                    _within_memory(work, members, job, cache)

        if jobs:
            try:
                with ThreadPoolExecutor(workers) as pool:
                    list(pool.map(alone, jobs))
            finally:
                torch.set_num_threads(_THREADS)

    def _prefill(self, prefix: TokenRow) -> DynamicCache | None:
        """Cache of one prefix at batch size 1; None for an empty prefix."""
        if not len(prefix):
            return None
        ids = torch.from_numpy(prefix.astype(np.int64)).to(self._device)[None]
        positions = torch.arange(len(prefix), device=self._device)[None]
        return self._model(input_ids=ids, position_ids=positions, use_cache=True, logits_to_keep=1)[
            self._cache_argument
        ]

    @staticmethod
    def _widened(cache: DynamicCache | None, size: int) -> DynamicCache | None:
        """The prefix for `size` rows, as views that the model's first concatenation copies."""
        if cache is None:
            return None
        wide = copy.copy(cache)
        wide.layers = [copy.copy(layer) for layer in cache.layers]
        for layer in wide.layers:
            full = cast("_FilledLayer", layer)
            full.keys = full.keys.expand(size, -1, -1, -1)
            full.values = full.values.expand(size, -1, -1, -1)
        return wide

    def _read(
        self, suffixes: Sequence[TokenRow], cache: DynamicCache | None, prefix: int, *, keep: bool
    ) -> _State:
        """Logits after each suffix; with `keep`, also the cache extended by the suffixes."""
        left = keep and not self._full_attention
        ids, own = (part.to(self._device) for part in pad(suffixes, self._pad, left=left))
        size, width = ids.shape
        before = torch.ones(size, prefix, dtype=torch.int64, device=self._device)
        if left:
            positions = (own.cumsum(dim=1) - 1).clamp(min=0)
        else:
            positions = torch.arange(prefix, prefix + width, device=self._device).expand(size, -1)
        mask = torch.cat([before, own], dim=1)
        shown = _Shown(ids, mask, positions, self._widened(cache, size))
        last = torch.full((size,), width - 1, device=self._device) if left else own.sum(dim=1) - 1
        following = prefix + own.sum(dim=1)
        return self._call(shown, last, following, keep=keep or cache is not None)

    def _call(self, shown: _Shown, last: Tensor, following: Tensor, *, keep: bool) -> _State:
        """One forward pass; logits only at column last[b] of row b."""
        rows = torch.arange(len(last), device=self._device)
        inputs = {
            "input_ids": shown.ids,
            "attention_mask": shown.mask,
            "position_ids": shown.positions,
            self._cache_argument: shown.cache,
            "use_cache": keep,
        }
        if self._plain_head:
            output = self._model.base_model(**inputs)
            logits = self._head(output.last_hidden_state[rows, last])
        else:
            columns, inverse = torch.unique(last, return_inverse=True)
            output = self._model(**inputs, logits_to_keep=columns)
            logits = output.logits[rows, inverse]
        return _State(logits.float(), output.get(self._cache_argument), shown.mask, following)

    def _probe(self) -> Tensor:
        """A few token ids [1, 4] to try the model with."""
        size = self._model.config.get_text_config().vocab_size
        return torch.arange(4, device=self._device)[None] % size

    @torch.inference_mode()
    def _cache_layers(self) -> set[type]:
        """Kinds of layer in the model's cache; empty if its cache cannot be continued."""
        cache = self._model(input_ids=self._probe(), use_cache=True).get(self._cache_argument)
        return {type(layer) for layer in cache.layers} if isinstance(cache, DynamicCache) else set()

    @torch.inference_mode()
    def _has_plain_head(self) -> bool:
        """Whether logits are the output embedding of the last hidden state: no cap, no scale."""
        full = self._model(input_ids=self._probe(), use_cache=False).logits
        hidden = self._model.base_model(input_ids=self._probe(), use_cache=False).last_hidden_state
        plain = self._head(hidden)
        return plain.shape == full.shape and bool(
            (plain - full).abs().max() < _PLAIN_HEAD_TOLERANCE
        )

    def _head(self, hidden: Tensor) -> Tensor:
        return cast("torch.nn.Module", self._model.get_output_embeddings())(hidden)

    def replies(
        self,
        rows: Sequence[TokenRow],
        uniforms: FloatArray,
        temperature: float,
        ends: Sequence[int],
    ) -> list[list[int]]:
        """Tokens generated after each row, up to an end token or uniforms.shape[1] tokens.

        uniforms [N, tokens] in [0, 1): one draw per token by the inverse distribution function, so
        that a row's reply depends on its own draws and not on its neighbours (except for the last
        bits that batching changes in logits). Temperature 0 takes the most probable token.
        """
        if not self._layers:
            raise BackendError(
                f"{type(self._model).__name__!r} has no cache to generate from; use another model"
            )
        result: list[list[int]] = [[] for _ in rows]

        def work(members: IntArray, job: PrefixJob, cache: DynamicCache | None) -> None:
            drawn = torch.from_numpy(uniforms[members]).float().to(self._device)
            suffixes = self._suffixes(rows, members, job)
            state = self._read(suffixes, cache, len(job.prefix), keep=True)
            replies = self._continue(state, drawn, temperature, ends)
            for k, reply in zip(members, replies, strict=True):
                result[k] = reply

        runs = plan_runs(rows) if self._full_attention else [one_run(rows)]
        # A step costs about the same for a few rows as for many, so batches of replies are larger.
        room = 2 * self._batch_tokens
        self._spread(work, plan_jobs(runs, rows, room, spare=uniforms.shape[1]))
        return result

    def _continue(
        self, state: _State, uniforms: Tensor, temperature: float, ends: Sequence[int]
    ) -> list[list[int]]:
        """Token by token from `state`; finished rows leave the batch once they are half of it."""
        size, longest = uniforms.shape
        tokens = np.full((size, longest), -1, dtype=np.int64)
        stop = torch.tensor(sorted(ends), device=self._device)
        live = torch.arange(size, device=self._device)
        going = torch.ones(size, dtype=torch.bool, device=self._device)
        for step in range(longest):
            chosen = _draw(state.logits, uniforms[live, step], temperature)
            going = going & ~torch.isin(chosen, stop)
            tokens[live[going].cpu().numpy(), step] = chosen[going].cpu().numpy()
            if step + 1 == longest or not bool(going.any()):
                break
            if int(going.sum()) * 2 <= len(live):
                state, chosen, live = self._thinned(state, going), chosen[going], live[going]
                going = going[going]
            state = self._step(state, chosen)
        return [row[row >= 0].tolist() for row in tokens]

    @staticmethod
    def _thinned(state: _State, going: Tensor) -> _State:
        kept = torch.nonzero(going)[:, 0]
        if state.cache is not None:
            state.cache.batch_select_indices(kept)
        return _State(state.logits[kept], state.cache, state.mask[kept], state.following[kept])

    def _step(self, state: _State, tokens: Tensor) -> _State:
        one = torch.ones(len(tokens), 1, dtype=torch.int64, device=self._device)
        mask = torch.cat([state.mask, one], dim=1)
        shown = _Shown(tokens[:, None], mask, state.following[:, None], state.cache)
        return self._call(shown, one[:, 0] - 1, state.following + 1, keep=True)
