"""Retention: what training changed unintentionally (text, knowledge, replies, consistency).

N texts or items, P pairs, W wordings. Figures of the set have a stated margin and a verdict: kept,
lost, or undecided if the data cannot tell. Source: docs/references.md, evaluation (section 3.2).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import entr

from alignment.retention.reply_checks import leaves_language, refuses
from alignment.retention.sets import RetentionItem, RetentionSet
from alignment.training.live import AdapterReading, LiveModel
from evaluation.stats.intervals import mean_interval
from evaluation.stats.paired_proportions import (
    Paired,
    RetentionVerdict,
    non_inferior,
    paired,
    supported_margin,
)
from plenary.models.base import ChatBackend, Conversation, Reply, Sampling
from plenary.models.parse_label import parse_label
from plenary.preferences import FloatArray
from plenary.prompt_templates import LABELS

LONGEST_REPLY = 48
BAD, GOOD = ("empty", "repeated", "refused", "drifted"), ("ended", "answered")
SPOKEN = 16
RUN = 4


class RetentionMargins(BaseModel):
    """Largest losses that count as kept, fixed before the run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kl: float = Field(default=0.10, gt=0, description="KL(base || model), nats per position")
    bits: float = Field(default=0.10, gt=0, description="rise of bits per byte on neutral text")
    accuracy: float = Field(default=0.06, gt=0, description="fall of the share of right answers")
    replies: float = Field(default=0.15, gt=0, description="change of a share of free replies")


class RetentionFinding(BaseModel):
    """One figure of retention. Losses: higher is worse."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str = Field(description="figure")
    units: int = Field(description="number of texts or items")
    before: float = Field(description="value of the base model")
    after: float = Field(description="value of the trained model")
    loss: float = Field(description="how much worse it became; negative is better than before")
    low: float = Field(description="lower one-sided 95 % bound of the loss")
    high: float = Field(description="upper one-sided 95 % bound of the loss")
    margin: float = Field(description="largest loss that counts as kept")
    supported: float | None = Field(
        description="smallest loss that this many items can rule out with power 0.8; items only"
    )
    p_value: float | None = Field(description="exact McNemar, two-sided; items only")
    verdict: RetentionVerdict = Field(description="kept, lost or undecided")


class Health(BaseModel):
    """Figures on free replies (generation health)."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    replies: int = Field(description="prompts asked")
    empty: float = Field(description="share of replies without usable text")
    ended: float = Field(description="share of replies that ended before the limit")
    repeated: float = Field(
        description="mean share of four-word runs that repeat within a reply; NaN if all are empty"
    )
    words: float = Field(description="mean length of the replies that are not empty")
    refused: float = Field(description="share of replies that refuse, by their first words")
    drifted: float = Field(description="share of replies in another language than the prompt")
    answered: float = Field(
        description="share of preference questions whose free reply names one of the labels"
    )

    def worsened(self, after: Health) -> float:
        """Largest rise of a bad share, or fall of a good one."""
        bad = [getattr(after, name) - getattr(self, name) for name in BAD]
        good = [getattr(self, name) - getattr(after, name) for name in GOOD]
        return max(change for change in (*bad, *good) if change == change)


class Speakers(NamedTuple):
    """The base and the trained model as backends that reply."""

    before: ChatBackend
    after: ChatBackend


class Retention(BaseModel):
    """What a trained model retained of its base."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="name of the retention set")
    findings: tuple[RetentionFinding, ...] = Field(description="figures with margins and verdicts")
    kl_neutral_p95: float = Field(description="95th percentile of KL over neutral texts, nats")
    kl_task: float = Field(
        description="KL(base || model) at the answer of preference prompts, nats"
    )
    top1: float = Field(
        description="share of positions of neutral text with the same likeliest token"
    )
    replies_kept: bool = Field(description="no share of free replies worsened beyond its margin")
    health_before: Health = Field(description="free replies of the base model to neutral prompts")
    health_after: Health = Field(description="the same of the trained model; compare the two")

    def finding(self, what: str) -> RetentionFinding:
        """The finding called `what`."""
        return next(found for found in self.findings if found.what == what)


def retention(
    live: LiveModel,
    speakers: Speakers,
    kept: RetentionSet,
    preference_prompts: Sequence[Conversation],
    margins: RetentionMargins,
    seed: int,
    labels: tuple[str, ...] = LABELS,
) -> Retention:
    """Read the set and the preference prompts with the adapter off and on, and let both reply."""
    texts = [document.conversation for document in kept.documents]
    reading = live.read(texts)
    sizes = np.array([len(document.text.encode()) for document in kept.documents])
    answers = [reply for item in kept.items for reply in item.replies]
    scored = live.read(answers)
    prompts = list(dict.fromkeys(document.conversation[:-1] for document in kept.documents))
    asked = list(preference_prompts[:SPOKEN])
    before, after = (health(speaker, prompts[:SPOKEN], seed, asked, labels) for speaker in speakers)
    return Retention(
        name=kept.name,
        findings=(
            _kl(reading, margins),
            _bits(reading, sizes, margins),
            *(_accuracy(kept.items, scored, margins, by_length) for by_length in (False, True)),
        ),
        kl_neutral_p95=float(np.quantile(reading.kl, 0.95)),
        kl_task=float(live.read(preference_prompts).kl.mean()),
        top1=float(reading.same_top.mean()),
        replies_kept=before.worsened(after) <= margins.replies,
        health_before=before,
        health_after=after,
    )


def _kl(reading: AdapterReading, margins: RetentionMargins) -> RetentionFinding:
    low, high = mean_interval(reading.kl)
    value = float(reading.kl.mean())
    return RetentionFinding(
        what="kl_neutral", units=len(reading.kl), before=0.0, after=value, loss=value, low=low,
        high=high, margin=margins.kl, supported=None, p_value=None,
        verdict=non_inferior(low, high, margins.kl),
    )  # fmt: skip


def _bits(
    reading: AdapterReading, sizes: np.ndarray, margins: RetentionMargins
) -> RetentionFinding:
    """Bits per byte of each text's reply; the mean is over texts."""
    before, after = (-side / np.log(2) / sizes for side in (reading.before, reading.after))
    low, high = mean_interval(after - before)
    return RetentionFinding(
        what="bits_per_byte", units=len(sizes), before=float(before.mean()),
        after=float(after.mean()), loss=float((after - before).mean()), low=low, high=high,
        margin=margins.bits, supported=None, p_value=None,
        verdict=non_inferior(low, high, margins.bits),
    )  # fmt: skip


def _accuracy(
    items: Sequence[RetentionItem],
    reading: AdapterReading,
    margins: RetentionMargins,
    by_length: bool,
) -> RetentionFinding:
    before, after = (
        right_answers(items, side, by_length=by_length) for side in (reading.before, reading.after)
    )
    found: Paired = paired(before, after)
    return RetentionFinding(
        what="accuracy_by_length" if by_length else "accuracy", units=found.items,
        before=found.before, after=found.after, loss=-found.change, low=-found.high,
        high=-found.low, margin=margins.accuracy, supported=supported_margin(found.items),
        p_value=found.p_value, verdict=non_inferior(-found.high, -found.low, margins.accuracy),
    )  # fmt: skip


def right_answers(
    items: Sequence[RetentionItem], log_p: FloatArray, *, by_length: bool
) -> np.ndarray:
    """Whether the likeliest option [N] is the right one; by_length divides by its UTF-8 bytes.

    log_p: log-probabilities of all options of all items, in order. A tie is not right.
    """
    right, start = [], 0
    for item in items:
        scores = log_p[start : start + len(item.options)].copy()
        if by_length:
            scores /= [len(option.encode()) for option in item.options]
        others = np.delete(scores, item.answer)
        right.append(bool(scores[item.answer] > others.max()))
        start += len(item.options)
    return np.array(right)


def health(
    backend: ChatBackend,
    prompts: Sequence[Conversation],
    seed: int,
    questions: Sequence[Conversation] = (),
    labels: tuple[str, ...] = LABELS,
) -> Health:
    """Generation health; compare before and after on the same prompts and seed.

    questions: to be answered by one of `labels`; without them `answered` is NaN.
    """
    sampling = Sampling(temperature=0.7, max_tokens=LONGEST_REPLY, seed=seed)
    replies = asyncio.run(backend.generate([*prompts, *questions], sampling))
    free, chosen = replies[: len(prompts)], replies[len(prompts) :]
    pairs = [(r, p[-1].content) for r, p in zip(free, prompts, strict=True) if r.text]
    said = [(reply.text or "").split() for reply, _ in pairs]
    ended = [reply.completion_tokens < LONGEST_REPLY for reply, _ in pairs]
    drifted = [leaves_language(reply.text or "", prompt) for reply, prompt in pairs]
    named = [parse_label(reply.text or "", labels) is not None for reply in chosen]
    return Health(
        replies=len(free),
        empty=1 - len(said) / len(free),
        ended=sum(ended) / len(free),
        repeated=float(np.mean([repeated_runs(words) for words in said])) if said else float("nan"),
        words=float(np.mean([len(words) for words in said])) if said else 0.0,
        refused=sum(map(_refused, free)) / len(free),
        drifted=sum(drifted) / len(free),
        answered=float(np.mean(named)) if named else float("nan"),
    )


def _refused(reply: Reply) -> bool:
    if reply.text is None:
        return (reply.failure or "").startswith("refused")
    return refuses(reply.text)


def repeated_runs(words: Sequence[str]) -> float:
    """Share of the runs of four words that repeat an earlier one; 0 for shorter texts."""
    runs = Counter(tuple(words[k : k + RUN]) for k in range(len(words) - RUN + 1))
    return 1 - len(runs) / runs.total() if runs else 0.0


class Incoherence(NamedTuple):
    """Entropy of a pair's answer over wordings and orders, nats, mean over pairs; 0 is best.

    total: entropy of the mean answer. wording: the part that is disagreement between wordings
    (their Jensen-Shannon divergence): indifference that all wordings share is not incoherence.
    """

    total: float
    wording: float


def incoherence(p: FloatArray) -> Incoherence:
    """From probabilities of the first outcome [P, W], one column per wording and order."""
    mixed, single = _entropy(p.mean(axis=1)), _entropy(p).mean(axis=1)
    return Incoherence(float(mixed.mean()), float((mixed - single).mean()))


def _entropy(p: FloatArray) -> FloatArray:
    return entr(p) + entr(1 - p)


def drift(before: FloatArray, after: FloatArray) -> float:
    """Mean |change of probability| over pairs [P]; 0 is none. Unanswered pairs are left out."""
    change = np.abs(after - before)
    return float(np.nanmean(change)) if (~np.isnan(change)).any() else float("nan")
