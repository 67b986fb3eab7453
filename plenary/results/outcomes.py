"""The outcomes of an assembly or a measurement, and which of them are never trained on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from pydantic import ValidationError

from evaluation.elicitation.design import DesignSettings, balanced_pairs, plan_pairs
from plenary import outcomes as catalogues
from plenary.embedded import unreadable_topics
from plenary.embedded.reading import unread_words
from plenary.errors import ConfigError, DataError
from plenary.outcomes import Catalogue, Outcome, OutcomeSplit, default_outcomes, split_outcomes
from plenary.preferences import BoolArray, IntArray
from plenary.seeding import generator
from plenary.stages.plan import spread
from plenary.table import Table
from plenary.untrusted import first_fault, fitted

if TYPE_CHECKING:
    import pandas as pd

DESIGN = DesignSettings()


@dataclass(frozen=True, slots=True)
class OutcomeSet:
    """Outcomes [K]; held_out: positions of those never trained on, () before `split`.

    shipped: they are of the catalogue that ships with plenary.
    """

    catalogue: Catalogue
    held_out: tuple[int, ...] = ()
    shipped: bool = False

    def __len__(self) -> int:
        return len(self.catalogue)

    def __iter__(self) -> Iterator[Outcome]:
        return iter(self.catalogue)

    @property
    def texts(self) -> tuple[str, ...]:
        """The sentences [K]."""
        return self.catalogue.texts

    def split(self, held_out: float = 0.4, seed: int = 0) -> OutcomeSet:
        """The same outcomes, a share of those of every topic held out: never trained on."""
        found = split_outcomes(self.catalogue, held_out, generator(seed, "split"))
        return replace(self, held_out=tuple(found.held_out.tolist()))

    def pairs(
        self, train: int | None, held_out: int | None, seed: int
    ) -> tuple[IntArray, BoolArray]:
        """Pairs [P, 2] to ask about, and which of them are held out [P].

        Each outcome comes up about equally often. By default 180 pairs of outcomes to train on and
        72 of those held out, more where they would not join all outcomes, fewer where there are
        not so many. No pair joins the two sides.
        """
        mask = np.isin(np.arange(len(self)), self.held_out)
        sides = {"train": np.flatnonzero(~mask), "held_out": np.flatnonzero(mask)}
        usual = {"train": DESIGN.train_pairs, "held_out": DESIGN.held_out_pairs}
        counts = {
            side: _count(len(members), wanted, usual[side], side)
            for (side, members), wanted in zip(sides.items(), (train, held_out), strict=True)
        }
        if not counts["held_out"]:
            pairs = balanced_pairs(len(self), counts["train"], generator(seed, "design", "train"))
            return pairs, np.zeros(len(pairs), dtype=bool)
        design = DesignSettings(train_pairs=counts["train"], held_out_pairs=counts["held_out"])
        planned = plan_pairs(OutcomeSplit(sides["train"], sides["held_out"]), design, seed)
        held = np.repeat([False, True], [len(planned.train), len(planned.held_out)])
        return np.concatenate(planned), held

    def table(self) -> Table:
        """One row per outcome: id, topic, side of the split, text."""
        held = set(self.held_out)
        rows = (
            (o.id, o.topic, "held_out" if k in held else "train", o.text)
            for k, o in enumerate(self)
        )
        return Table.of(["id", "topic", "split", "text"], rows, repr(self))

    def to_pandas(self) -> pd.DataFrame:
        """One row per outcome."""
        return self.table().to_pandas()

    def __repr__(self) -> str:
        topics = len(self.catalogue.topics)
        held = f", {len(self.held_out)} held out" if self.held_out else ""
        return f"{len(self)} outcomes on {topics} {'topic' if topics == 1 else 'topics'}{held}"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _count(outcomes: int, wanted: int | None, usual: int, side: str) -> int:
    possible = outcomes * (outcomes - 1) // 2
    if wanted is None:
        return min(possible, max(usual, outcomes - 1))
    if not 0 <= wanted <= possible or (wanted == 0 and side == "train"):
        raise ConfigError(
            f"{wanted!r} pairs of {outcomes} outcomes ({side}); ask for 1 to {possible}, or take "
            "more outcomes"
        )
    return wanted


def outcome_set(
    source: object, count: int | None = None, seed: int = 0, *, readable: bool = False
) -> OutcomeSet:
    """The catalogue that ships (None), a file, sentences, dicts, a DataFrame or a Catalogue."""
    if isinstance(source, OutcomeSet):
        found = source
    elif source is None:
        found = OutcomeSet(default_outcomes(), shipped=True)
    elif isinstance(source, str | Path):
        found = OutcomeSet(catalogues.load_outcomes(Path(source).expanduser()))
    elif isinstance(source, Catalogue):
        found = OutcomeSet(source)
    else:
        found = OutcomeSet(Catalogue(tuple(_listed(source))))
    if readable:
        kept = [k for k, o in enumerate(found) if _is_readable(o, shipped=found.shipped)]
        if len(kept) < 2:
            raise DataError(
                f"the model that ships reads {len(kept)} of {len(found)} outcomes; use plain "
                "English words, or another model"
            )
        found = OutcomeSet(found.catalogue.select(kept), (), found.shipped)
    if count is None:
        return found
    if not 2 <= count <= len(found):
        raise ConfigError(f"{count!r} of {len(found)} outcomes; ask for 2 to {len(found)}")
    return OutcomeSet(
        spread(found.catalogue, count, generator(seed, "outcomes")), (), found.shipped
    )


def _is_readable(outcome: Outcome, *, shipped: bool) -> bool:
    """Whether the model that ships reads an outcome, by its topic or its words."""
    return outcome.topic not in unreadable_topics() if shipped else not unread_words(outcome.text)


def _listed(source: object) -> Iterator[Outcome]:
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        rows: Iterable[object] = cast("pd.DataFrame", source).to_dict("records")
    elif isinstance(source, Iterable):
        rows = source
    else:
        raise ConfigError(
            f"{type(source).__name__} {str(source)[:60]!r} holds no outcomes; give a file, "
            "sentences, dicts with text, or a DataFrame with a column text"
        )
    for number, row in enumerate(rows):
        if isinstance(row, Outcome):
            yield row
            continue
        given = {"text": row} if isinstance(row, str) else row
        if not isinstance(given, Mapping):
            raise DataError(
                f"outcome {number} is {str(row)[:60]!r}; give a sentence or a dict with text"
            )
        # pandas has NaN, which is not equal to itself, for a missing value.
        known = {n: v for n, v in given.items() if v is not None and v == v}
        try:
            yield fitted(Outcome, {"id": f"o{number:04d}", "topic": "all", **known})
        except ValidationError as error:
            raise DataError(f"outcome {number} {first_fault(error)}; change it") from error
