"""Validating personas against a survey: accuracy, flattening and stereotyping by group.

After Argyle et al. 2023, Santurkar et al. 2023, Bisbee et al. 2024 and Park et al. 2024
[argyle2023, santurkar2023, bisbee2024, park2024]. Shapes: C citizens, A answers of an item.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from personas.persona import Panel
from personas.prompt import DEFAULT_PROFILE, ProfileSettings, describe
from personas.survey.groups import Group, demographic_terms, groups, people_like_them
from personas.survey.interviews import Answers, SurveyBackend, interview
from personas.survey.survey import Survey
from plenary.errors import BackendError, ConfigError
from plenary.models.base import ChatBackend
from plenary.preferences import FloatArray

# Survey effects of fewer standard errors than this have no clear sign to agree with.
CLEAR = 2.0
FLAT, STEREOTYPED = 0.5, 2.0
NAMED = ProfileSettings(names="invented")


class ValidationSettings(BaseModel):
    """What is asked and which groups count."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[str, ...] = Field(default=(), description="items to ask; () for all")
    smallest_group: int = Field(
        default=5, ge=1, description="least number of citizens in a group that is compared"
    )
    samples: int = Field(default=10, ge=1, description="answers if the backend only samples")
    stability: bool = Field(
        default=True, description="ask again in other words, and again with names"
    )


DEFAULT_VALIDATION = ValidationSettings()


class ItemScore(NamedTuple):
    """Scores of one item for one way of answering it.

    distance: total variation distance of the panel's shares from the survey's; lower is better.
    steps: the same as normalised Wasserstein distance over the scale (NaN if unordered).
    worst_group, worst_distance: the group with the largest distance. mean_group_distance: over
    groups.
    within_ratio: spread within groups over the survey's; 1 is right, below 1 is flattening.
    between_ratio: spread between group means over the survey's, below 1 flattens the differences
        of groups, above 1 stereotypes.
    signs: share of the survey's clear demographic effects whose sign is reproduced (NaN without
    any). accuracy: expected agreement with a person of the same demographics; reachable: that of
    the survey's own shares; normalised: accuracy over the human retest (NaN if unknown).
    """

    item: str
    distance: float
    steps: float
    worst_group: str
    worst_distance: float
    mean_group_distance: float
    within_ratio: float
    between_ratio: float
    signs: float
    accuracy: float
    reachable: float
    normalised: float


@dataclass(frozen=True, slots=True)
class Validation:
    """Scores by way of answering: personas, and the three baselines.

    wording, naming: 1 - mean change of a citizen's shares under other words, or with names; NaN if
    not asked. invalid: share of citizens x items without a valid answer.
    """

    survey: str
    source: str
    backend: str
    scores: dict[str, tuple[ItemScore, ...]]
    wording: float
    naming: float
    invalid: float

    def median(self, way: str, field: str) -> float:
        """Median of one figure over the items that have it; NaN if none has it."""
        values = np.array([getattr(score, field) for score in self.scores[way]], dtype=np.float64)
        values = values[np.isfinite(values)]
        return float(np.median(values)) if len(values) else float("nan")

    def verdict(self, way: str = "personas") -> tuple[str, ...]:
        """What the figures show: flattened, stereotyped, neither."""
        within, between = self.median(way, "within_ratio"), self.median(way, "between_ratio")
        found = []
        if within < FLAT:
            found.append("people inside a group answer too much alike")
        if between < FLAT:
            found.append("differences between groups are flattened")
        if between > STEREOTYPED:
            found.append("differences between groups are exaggerated")
        return tuple(found)


async def validate(
    backend: ChatBackend,
    panel: Panel,
    survey: Survey,
    settings: ValidationSettings = DEFAULT_VALIDATION,
    profile: ProfileSettings = DEFAULT_PROFILE,
    seed: int = 0,
) -> Validation:
    """Ask the panel's citizens the survey's items and compare with people of their groups.

    The baselines are the answers of the whole population, of a regression on the same demographics
    (both from the survey itself), and of the model without a persona.
    """
    survey = chosen_items(survey, settings.items)
    systems = [describe(persona, profile) for persona in panel]
    # What the survey or the panel lacks is reported before the model is asked.
    like = {item: people_like_them(survey, panel, item) for item in survey.file.items}
    terms = demographic_terms(panel)
    samples = settings.samples
    told = await interview(backend, survey, systems, samples=samples, seed=seed)
    plain = await interview(backend, survey, [None], samples=samples, seed=seed)
    ways: dict[str, Answers] = {
        "personas": told,
        "marginal": {i: np.tile(survey.marginal(i), (len(panel), 1)) for i in like},
        "regression": like,
        "no persona": {i: np.tile(plain[i], (len(panel), 1)) for i in like},
    }
    wording = naming = float("nan")
    if settings.stability:
        again = await interview(
            backend, survey, systems, wording="other", samples=samples, seed=seed
        )
        named = [describe(p, profile.model_copy(update={"names": "invented"})) for p in panel]
        wording = _stability(told, again)
        naming = _stability(
            told, await interview(backend, survey, named, samples=samples, seed=seed)
        )
    invalid = float(np.mean([np.isnan(answers).any(axis=1).mean() for answers in told.values()]))
    if invalid == 1:
        raise BackendError(
            f"{backend.name!r} gave no valid answer to {survey.file.name!r}; use another model"
        )
    scores = {
        way: _scores(survey, panel, given, like, terms, settings) for way, given in ways.items()
    }
    file = survey.file
    return Validation(file.name, file.source, backend.name, scores, wording, naming, invalid)


def planted(survey: Survey, panel: Panel, way: str) -> SurveyBackend:
    """Citizens who answer by the survey's shares for people like them, or all by the marginal."""
    if way not in ("shares", "marginal"):
        raise ConfigError(f"planted survey citizens {way!r}; use shares or marginal")
    answers = {
        item: people_like_them(survey, panel, item)
        if way == "shares"
        else np.tile(survey.marginal(item), (len(panel), 1))
        for item in survey.file.items
    }
    systems = {describe(persona): at for at, persona in enumerate(panel)}
    systems |= {describe(persona, NAMED): at for at, persona in enumerate(panel)}
    return SurveyBackend(survey, systems, answers, way)


def chosen_items(survey: Survey, items: Sequence[str]) -> Survey:
    """The survey with some of its items; ConfigError for an unknown one."""
    for item in items:
        if item not in survey.file.items:
            known = ", ".join(survey.file.items)
            raise ConfigError(f"unknown item {item!r} of {survey.file.name!r}; use one of {known}")
    kept = {name: survey.file.items[name] for name in items or survey.file.items}
    file = survey.file.model_copy(update={"items": kept})
    return Survey(file, survey.shares, survey.bases, survey.coefficients)


def _scores(
    survey: Survey,
    panel: Panel,
    given: Answers,
    like: Answers,
    terms: Mapping[str, FloatArray],
    settings: ValidationSettings,
) -> tuple[ItemScore, ...]:
    members = [g for g in groups(survey, panel) if len(g.members) >= settings.smallest_group]
    members += [
        g for g in groups(survey, panel, crossed=True) if len(g.members) >= settings.smallest_group
    ]
    return tuple(
        _score(survey, item, panel, given[item], like[item], members, terms)
        for item in survey.file.items
    )


def _score(
    survey: Survey,
    item: str,
    panel: Panel,
    given: FloatArray,
    like: FloatArray,
    members: Sequence[Group],
    terms: Mapping[str, FloatArray],
) -> ItemScore:
    valid = np.isfinite(given.sum(axis=1))
    weight = np.where(valid, panel.weight, 0.0)
    filled = np.where(valid[:, None], given, 0.0)
    about = survey.file.items[item]
    nan = float("nan")
    if not valid.any():
        return ItemScore(item, nan, nan, "", nan, nan, nan, nan, nan, nan, nan, nan)
    mean = weight @ filled / weight.sum()
    truth = survey.marginal(item)
    apart = _group_distances(survey, item, filled, weight, members)
    worst = max(apart, key=lambda name: apart[name]) if apart else ""
    within, between = _spread(survey, item, filled, weight, members)
    accuracy = float(weight @ (filled * like).sum(axis=1) / weight.sum())
    reachable = float(weight @ (like * like).sum(axis=1) / weight.sum())
    return ItemScore(
        item,
        _distance(mean, truth),
        float(np.abs(np.cumsum(mean - truth)).sum() / (len(truth) - 1)) if about.ordered else nan,
        worst,
        apart.get(worst, nan),
        float(np.mean(list(apart.values()))) if apart else nan,
        within,
        between,
        _signs(survey, item, filled, weight, terms) if about.ordered else nan,
        accuracy,
        reachable,
        nan if about.retest is None else accuracy / about.retest,
    )


def _distance(p: FloatArray, q: FloatArray) -> float:
    return float(np.abs(p - q).sum() / 2)


def _group_distances(
    survey: Survey, item: str, answers: FloatArray, weight: FloatArray, members: Sequence[Group]
) -> dict[str, float]:
    found = {}
    for group in members:
        truth = survey.shares.get((item, group.by, group.name))
        part = weight[group.members]
        if truth is not None and part.sum() > 0:
            mean = part @ answers[group.members] / part.sum()
            found[f"{group.by}={group.name}"] = _distance(mean, truth)
    return found


def _spread(
    survey: Survey, item: str, answers: FloatArray, weight: FloatArray, members: Sequence[Group]
) -> tuple[float, float]:
    """Ratios of the spread inside groups and between group means, model over survey.

    The survey's spread between groups is corrected for its own sampling error.
    """
    about = survey.file.items[item]
    count = len(about.answers)
    scale = np.arange(count)[:, None] / (count - 1) if about.ordered else np.eye(count)
    rows: dict[str, list[tuple[float, FloatArray, FloatArray, int]]] = {}
    for group in members:
        key = item, group.by, group.name
        part = weight[group.members]
        if "|" in group.by or key not in survey.shares or part.sum() <= 0:
            continue
        mean = part @ answers[group.members] / part.sum()
        rows.setdefault(group.by, []).append(
            (float(part.sum()), mean, survey.shares[key], survey.bases[key])
        )
    inside, across = np.zeros(2), np.zeros(2)
    for held in rows.values():
        mass = np.array([row[0] for row in held]) / sum(row[0] for row in held)
        noise = sum(
            m * _variance(row[2], scale) / row[3] for m, row in zip(mass, held, strict=True)
        )
        for side in (0, 1):
            shares = np.array([row[1 + side] for row in held])
            inside[side] += mass @ [_variance(p, scale) for p in shares]
            means = shares @ scale
            across[side] += mass @ ((means - mass @ means) ** 2).sum(axis=1)
        across[1] -= noise
    between = across[0] / across[1] if across[1] > 1e-6 else np.nan
    return float(inside[0] / inside[1]) if inside[1] > 0 else float("nan"), float(between)


def _variance(shares: FloatArray, scale: FloatArray) -> float:
    return float((shares @ scale**2 - (shares @ scale) ** 2).sum())


def _signs(
    survey: Survey,
    item: str,
    answers: FloatArray,
    weight: FloatArray,
    terms: Mapping[str, FloatArray],
) -> float:
    effects = survey.coefficients.get(item, {})
    clear = [t for t, e in effects.items() if t in terms and abs(e.value) > CLEAR * e.error]
    score = answers @ np.arange(answers.shape[1])
    mean = weight @ score / weight.sum()
    if not clear or weight @ (score - mean) ** 2 < 1e-12:
        return float("nan") if not clear else 0.0
    root = np.sqrt(weight)
    design = np.column_stack([np.ones(len(score)), *terms.values()])
    fitted = np.linalg.lstsq(design * root[:, None], (score - mean) * root, rcond=None)[0]
    found = dict(zip(terms, fitted[1:], strict=True))
    return float(np.mean([found[term] * effects[term].value > 0 for term in clear]))


def _stability(one: Answers, other: Answers) -> float:
    gaps = [np.abs(one[item] - other[item]).sum(axis=1) / 2 for item in one]
    every = np.concatenate(gaps)
    every = every[np.isfinite(every)]
    return 1.0 - float(every.mean()) if len(every) else float("nan")
