"""The dataset card (README of the dataset, Markdown): how labels were made, uses and limits."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from assembly.aggregation.consensus import COUNTED
from assembly.analysis.reliability import ReliabilityCurve
from assembly.analysis.variance_components import RECORDED_SOURCES, VarianceComponents
from assembly.dataset.consensus_dataset import MEANING, SPLITS, ConsensusDataset

THIN = 10
UNKNOWN = "not measured in this run"
UNSTATED = "NOASSERTION"  # SPDX's word for a licence that nobody stated


class CardFacts(BaseModel):
    """What the card states that the dataset does not hold. None is printed as not measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="name of the dataset")
    population: str = Field(min_length=1, description="source of the personas and its vintage")
    geography: str = Field(min_length=1, description="area where the population lives")
    variables: tuple[str, ...] = Field(
        min_length=1, description="attributes on which the panel is representative"
    )
    languages: tuple[str, ...] = Field(default=("en",), description="ISO 639-1 codes")
    licence: str = Field(min_length=1, description="SPDX identifier of the dataset's licence")
    census_citation: str = Field(min_length=1, description="how to cite the population")
    creator: str = Field(min_length=1, description="who publishes the dataset")
    contact: str = Field(min_length=1, description="where to send questions")
    removal: str = Field(min_length=1, description="how to have a row removed")
    url: str = Field(min_length=1, description="where the dataset is published")
    published: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="date of publication")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$", description="version of the dataset")
    validation: str | None = Field(default=None, description="what was compared with human data")
    base_model_share: float | None = Field(
        default=None, ge=0, le=1, description="share of label variance between base models"
    )
    wording_icc: tuple[float, float, float] | None = Field(
        default=None, description="reliability of one wording, with its interval"
    )
    hiring_audit: str | None = Field(
        default=None, description="where to find the audit of tuned models"
    )
    unread: dict[str, tuple[str, ...]] = Field(
        default={}, description="outcome id -> words that a citizens' model cannot read"
    )
    not_measured: dict[str, str] = Field(
        default={}, description="what the ballots cannot show -> why"
    )


def dataset_card(
    dataset: ConsensusDataset,
    facts: CardFacts,
    budget: VarianceComponents | None = None,
    curve: ReliabilityCurve | None = None,
) -> str:
    """Markdown with the Hugging Face hub's front matter and the thirteen statements."""
    limits = [f"{k}. {text}" for k, text in enumerate(statements(dataset, facts, budget), 1)]
    parts = [
        f"---\n{_metadata(dataset, facts)}\n---",
        f"# {facts.name}",
        "Pairwise choices of simulated citizens between states of the world, one row per pair. "
        "Simulated citizens are not people.",
        "## Details",
        _details(dataset, facts),
        "## Intended use and limits",
        "\n".join(limits),
        "## Structure",
        _structure(dataset),
        "## How the labels were made",
        _made(dataset),
        "## Reliability",
        _reliability(dataset, curve),
        *_unread(facts),
        *_unmeasured(facts),
        "## Recommendations",
        "Train on `p` with `effective_n` as weight, keep `contested` rows out of hard labels, read "
        "the minority report with every label, and report agreement next to the ceiling above.",
    ]
    return "\n\n".join(parts) + "\n"


def statements(
    dataset: ConsensusDataset, facts: CardFacts, budget: VarianceComponents | None = None
) -> tuple[str, ...]:
    """The thirteen statements on use and limits (docs/references.md, key evaluation, section 5)."""
    made = dataset.provenance
    models = ", ".join(made.models)
    return (
        f"The personas are synthetic draws from {facts.population} ({facts.geography}; variables: "
        f"{', '.join(facts.variables)}; seed {made.seed}). No row describes a person.",
        "The statements are output of a language model, not opinions of any group.",
        f"Agreement among citizens is agreement of {_models(made.models)} ({models}) with itself "
        "under different prompts.",
        "This is not a poll, election forecast, jury or consultation and replaces none of them.",
        "It is not for decisions about individuals, nor for targeting or persuading anybody.",
        f"{_thin(dataset)} Variety within groups is understated: models flatten the groups they "
        "play.",
        f"Labels are weighted shares of {len(made.persona_ids)} citizens. {_second_rule(dataset)}",
        f"Share of label variance: {_variance(facts, budget)}.",
        f"Languages: {', '.join(facts.languages)}; nothing is known about others.",
        f"Validated against human data: {facts.validation or 'nothing'}.",
        f"Known failure: answers depend on wording. Reliability of a single wording: "
        f"{_icc(facts)}.",
        f"Licence: {facts.licence}. Population: {facts.census_citation}. Contact: {facts.contact}. "
        f"Removal: {facts.removal}.",
        "Models tuned on these labels are research artefacts; hiring and other decisions about "
        f"people are out of scope. Audit of tuned models: {facts.hiring_audit or UNKNOWN}.",
    )


def _models(models: tuple[str, ...]) -> str:
    return "one base model" if len(models) == 1 else f"{len(models)} base models, each"


def _thin(dataset: ConsensusDataset) -> str:
    sizes = dataset.stratum_counts[:1].sum(axis=2).ravel()
    thin = [
        f"{stratum.attribute} = {stratum.category} ({size})"
        for stratum, size in zip(dataset.strata, sizes.tolist(), strict=False)
        if size < THIN
    ]
    if not dataset.strata:
        return f"Strata: {UNKNOWN}."
    listed = ", ".join(thin) or "none"
    return (
        f"Strata with fewer than {THIN} citizens: {listed}; those with none are not in the panel."
    )


def _second_rule(dataset: ConsensusDataset) -> str:
    """Whether the majority side is the same by votes cast, and without weights."""
    voted = ~np.isnan(dataset.p)
    if not voted.any():
        return f"Result under a second rule: {UNKNOWN}."
    side = np.sign(dataset.p[voted] - 0.5)
    hard, plain = (
        float(np.mean(np.sign(column[voted] - 0.5) == side))
        for column in (dataset.p_hard, dataset.p_unweighted)
    )
    return (
        f"The majority is the same on {hard:.1%} of pairs by votes cast and on {plain:.1%} without "
        "weights."
    )


def _variance(facts: CardFacts, budget: VarianceComponents | None) -> str:
    base = UNKNOWN if facts.base_model_share is None else f"{facts.base_model_share:.1%}"
    if budget is None:
        return f"persona attributes {UNKNOWN}, persona wording {UNKNOWN}, base model {base}"
    parts = [
        f"{part.source} {part.share:.1%} ({part.low:.1%} to {part.high:.1%})"
        if part.measured
        else f"{part.source} {UNKNOWN}"
        for part in budget.parts
    ]
    # The part "models" shows it if the run had several base models.
    return ", ".join(parts if facts.base_model_share is None else [*parts, f"base model {base}"])


def _icc(facts: CardFacts) -> str:
    if facts.wording_icc is None:
        return UNKNOWN
    value, low, high = facts.wording_icc
    return f"ICC {value:.2f} ({low:.2f} to {high:.2f})"


def _metadata(dataset: ConsensusDataset, facts: CardFacts) -> str:
    """What the hub reads, as YAML."""
    # Settings import this module, and commands that make no card need not wait for the hub's.
    from huggingface_hub import DatasetCardData

    # One file per split, so that nobody trains on the held-out rows unawares.
    files = [{"split": side, "path": f"{side}.parquet"} for side in SPLITS]
    return DatasetCardData(
        pretty_name=facts.name,
        license="unknown" if facts.licence == UNSTATED else facts.licence.lower(),
        language=list(facts.languages),
        annotations_creators=["machine-generated"],
        size_categories=[_size(len(dataset))],
        tags=["preferences", "simulated-citizens", "deliberation", "synthetic"],
        configs=[{"config_name": "default", "data_files": files}],
    ).to_yaml()


def _size(rows: int) -> str:
    """Size category of the Hugging Face hub."""
    for limit, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")):
        if rows < limit:
            return name
    return "100K<n<1M"


def _details(dataset: ConsensusDataset, facts: CardFacts) -> str:
    made = dataset.provenance
    listed = {
        "publisher": facts.creator,
        "version": f"{facts.version} of {facts.published}",
        "citizens": f"{len(made.persona_ids)}",
        "pairs": ", ".join(f"{dataset.split.count(side)} {side}" for side in SPLITS),
        "models": ", ".join(made.models),
        "seed": f"{made.seed}",
        "plenary": made.version,
    }
    return "\n".join(f"- {name}: {value}" for name, value in listed.items())


def _structure(dataset: ConsensusDataset) -> str:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in MEANING.items()]
    return "\n".join([f"Intervals at level {dataset.level}.", "", "| column | meaning |"]) + (
        "\n|---|---|\n" + "\n".join(rows)
    )


def _made(dataset: ConsensusDataset) -> str:
    made = dataset.provenance
    groups = {"prompts": made.templates, "settings": made.settings, "inputs": made.inputs}
    lines = [
        f"- {group}: " + "; ".join(f"{name} {value}" for name, value in values.items())
        for group, values in groups.items()
        if values
    ]
    total = dataset.counts.sum(axis=0)
    counted = ", ".join(f"{n} {name}" for name, n in zip(COUNTED, total.tolist(), strict=True))
    return "\n".join([*lines, f"- ballots after discussion, citizens x pairs: {counted}"])


def _unread(facts: CardFacts) -> list[str]:
    lines = [f"- `{name}`: {', '.join(words)}" for name, words in facts.unread.items()]
    if not lines:
        return []
    said = (
        "The citizens' model cannot read these words, so labels of these outcomes are meaningless:"
    )
    return ["## Outcomes that were not read", "\n".join([said, "", *lines])]


def _unmeasured(facts: CardFacts) -> list[str]:
    lines = [f"- {name}: not measured: {why}" for name, why in facts.not_measured.items()]
    return ["## Not measured", "\n".join(lines)] if lines else []


def _reliability(dataset: ConsensusDataset, curve: ReliabilityCurve | None) -> str:
    contested = f"{dataset.contested.mean():.1%}" if len(dataset) else UNKNOWN
    errors = [
        f"{name} {np.nanmean(column):.3f}" if not np.isnan(column).all() else f"{name} {UNKNOWN}"
        for name, column in zip(RECORDED_SOURCES, dataset.errors.T, strict=True)
    ]
    lines = [f"- contested pairs: {contested}", f"- mean standard error of p: {', '.join(errors)}"]
    if curve is None:
        return "\n".join([*lines, f"- agreement of the labels with another panel: {UNKNOWN}"])
    rows = [
        f"| {n} | {r:.3f} | {a:.3f} | {c:.3f} |"
        for n, r, a, c in zip(
            curve.sizes, curve.reliability, curve.agreement, curve.with_everybody, strict=True
        )
    ]
    head = (
        "| citizens | reliability | two panels agree, all pairs | "
        "labels agree with the whole population |\n|---|---|---|---|"
    )
    return "\n".join(lines) + "\n\n" + head + "\n" + "\n".join(rows)
