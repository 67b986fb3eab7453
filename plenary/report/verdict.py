"""The verdict box at the top of the report: what a run shows and what it cannot show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from evaluation.claims.claims import CONSENSUS, REPRESENTS, TOWARD, VALUES, Finding
from evaluation.claims.evidence import Agreement, PanelMargins, Templates, Toward


class Controls(NamedTuple):
    """What the control arms show; arms by name, gains as shares of held-out pairs.

    below: arms with a smaller gain than the assembly arm, beyond noise; level: the others; farther:
    those among level that stay farther from the assembly's shares in KL. missing: arms
    without the assembly's content that were not run.
    """

    seeds: int
    gain: float
    low: float
    high: float
    below: tuple[str, ...]
    level: tuple[str, ...]
    farther: tuple[str, ...]
    missing: tuple[str, ...]


class VerdictFigures(NamedTuple):
    """The figures that the verdict depends on; shares of held-out pairs, higher is closer.

    after_low: lower end of the agreement after. low, high: ends of the paired bootstrap interval
    of the gain. embedded: the shipped model took part. own_outcomes: not from its catalogue.
    imputed: weighted share of citizens with donor-imputed columns. controls: None without control
    arms. toward, margins, agreement: evidence of claims. risen: outcomes that may be named.
    findings: what the other sections found.
    wordings: how many were asked.
    """

    before: float
    after: float
    after_low: float
    gain: float
    low: float
    high: float
    ceiling: float | None
    ceiling_low: float | None
    ceiling_high: float | None
    pairs: int
    outcomes: int
    citizens: int
    invalid: float
    contested: float
    imputed: float
    template: str
    embedded: bool
    wordings: int
    toward: Toward
    margins: PanelMargins
    agreement: Agreement | None
    own_outcomes: bool = False
    risen: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    controls: Controls | None = None


class RunVerdict(NamedTuple):
    """Headline, tone (moved, unmoved, away), what was shown, what was not, what to keep in mind."""

    headline: str
    tone: str
    shown: tuple[str, ...]
    not_shown: tuple[str, ...]
    reading: tuple[str, ...]


def verdict(m: VerdictFigures) -> RunVerdict:
    """The sentences that the figures support."""
    headline, tone = _headline(m)
    return RunVerdict(headline, tone, tuple(_shown(m)), tuple(_not_shown(m)), tuple(_reading(m)))


def _headline(m: VerdictFigures) -> tuple[str, str]:
    e = m.toward
    toned = {True: "moved", False: "unmoved"}[e.outcomes_low > 0 and bool(e.beyond_retest)]
    return TOWARD.say(e).sentence, "away" if e.away else toned


def _shown(m: VerdictFigures) -> list[str]:
    said = [
        f"Agreement with the assembly's majority on {m.pairs} pairs of {m.outcomes} held-out "
        f"outcomes "
        f"went from {m.before:.1%} to {m.after:.1%}: a gain of {100 * m.gain:+.1f} points, 95 % "
        f"interval "
        f"{100 * m.low:+.1f} to {100 * m.high:+.1f} (paired bootstrap over held-out outcomes).",
        _ceiling(m),
    ]
    if m.controls is not None:
        said += _held_against_controls(m.controls)
    if m.ceiling_high is not None and m.after_low > m.ceiling_high:
        said.append(
            "The trained model agrees with this panel more than another panel would: it has also "
            "learnt what is particular to these citizens."
        )
    said += [f"Outcomes for which a movement was shown: {' '.join(m.risen)}"] if m.risen else []
    said += [f.sentence for f in _findings(m) if f.shown]
    if m.invalid > 0.05:
        said.append(
            f"{m.invalid:.1%} of the ballots were invalid; the decision rests on the others."
        )
    return said


def _ceiling(m: VerdictFigures) -> str:
    if m.ceiling is None:
        return "The ceiling, how far another panel would agree with this one, was not measured."
    return (
        f"Two independent panels of {m.citizens} citizens would agree on {m.ceiling:.1%} of "
        f"these pairs ({m.ceiling_low:.1%} to {m.ceiling_high:.1%}): this is the ceiling."
    )


def _not_shown(m: VerdictFigures) -> list[str]:
    return [
        *_left_open(m.controls),
        *(found.sentence for found in _findings(m) if found.sentence and not found.shown),
    ]


def _findings(m: VerdictFigures) -> tuple[Finding, ...]:
    return (*m.findings, *(() if m.agreement is None else (CONSENSUS.say(m.agreement),)))


def _reading(m: VerdictFigures) -> list[str]:
    said = [
        "Simulated citizens are not people. The ballots are a model's answers when it is given "
        "descriptions of people from census data.",
        f"{VALUES.say(Templates(m.wordings)).sentence} Elicited preferences are not motives. "
        f"The main figures use the wording {m.template!r}.",
        REPRESENTS.say(m.margins).sentence,
    ]
    if m.contested > 0:
        said.append(
            f"On {m.contested:.0%} of all pairs the interval of the assembly's share includes one "
            "half, so it is not settled which side has the majority."
        )
    if m.imputed > 0:
        said.append(
            f"{m.imputed:.1%} of the panel, by weight, have values imputed from other survey "
            "records."
        )
    if m.embedded:
        said.append(
            "The model that ships with plenary is a model organism, built so that arguments and "
            "training move it. Its figures test the method; they are no evidence about large "
            "models."
        )
    if m.embedded and m.own_outcomes:
        said.append(
            "The model that ships with plenary knows only the words of its own catalogue. It gives "
            "answers about the outcomes of this run, but they mean nothing."
        )
    return said


def _held_against_controls(c: Controls) -> list[str]:
    said = [
        f"Over {c.seeds} seeds of training the gain is {100 * c.gain:+.1f} points (95 % "
        f"{100 * c.low:+.1f} to {100 * c.high:+.1f})"
        + (
            f"; it is larger than that of the arms {_listed(c.below)} on the same pairs."
            if c.below
            else "."
        )
    ]
    if c.farther:
        said.append(
            f"The arms {_listed(c.farther)} share much of the assembly's content and cannot be "
            "told "
            "apart from it by agreement, but they stay farther from the assembly's shares (KL)."
        )
    return said


def _left_open(c: Controls | None) -> list[str]:
    if c is None:
        return [
            "This is one run with one seed and without control arms. To show that the assembly's "
            "content moved the model, and not training as such, run the control arms over several "
            "seeds: plenary control."
        ]
    said = ["There is one assembly: training was repeated with several seeds, not the discussion."]
    if c.level:
        said.append(
            "It was not shown that the assembly arm reaches more of the assembly's majorities "
            "than "
            f"{_listed(c.level)}."
        )
    nearer = [arm for arm in c.level if arm not in c.farther]
    if nearer:
        said.append(
            "It was not shown that it comes nearer to the assembly's shares than "
            f"{_listed(nearer)}."
        )
    if c.missing:
        said.append(
            "Whether the assembly's content moved the model, and not training as such, stays open "
            f"because the arms {_listed(c.missing)} were not run."
        )
    return said


def _listed(arms: Sequence[str]) -> str:
    return ", ".join(arm.replace("_", " ") for arm in arms)
