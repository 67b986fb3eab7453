"""From a census to what an assembly decides."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from assembly.aggregation.electorate import Rule
from assembly.hold import VotingAgenda
from assembly.hold import hold_assembly as _hold
from assembly.record.settings import AssemblySettings
from census_data.population import Population, PopulationSettings, load_population
from personas.prompt import DEFAULT_PROFILE, ProfileSettings
from personas.sampling.recruit import PanelSettings, recruit
from plenary.any_model import Model, load_model
from plenary.api.settings import chosen_settings
from plenary.embedded import unreadable_topics
from plenary.results.assembly import AssemblyResult
from plenary.results.outcomes import OutcomeSet, outcome_set
from plenary.results.panel import PanelResult, drawn_panel, own_panel
from plenary.results.progress import assembly_bar
from plenary.results.waiting import waited
from plenary.runs.plan import unread_outcomes

_LOG = logging.getLogger(__name__)
# The census attributes that a panel stands for unless told otherwise.
BY = ("age", "sex", "race_origin", "education", "region")


def sample_panel(
    citizens: int = 60,
    *,
    by: Sequence[str] = BY,
    method: str = "swap",
    seed: int = 0,
    population: Population | str | Path | None = None,
    profile: ProfileSettings = DEFAULT_PROFILE,
    **settings: object,
) -> PanelResult:
    """Draw a panel of citizens from census records.

    by: attributes that the panel is to represent. method: swap (nearest margins), simple,
    systematic, stratified or lottery (quotas). population: the US adults who ship with plenary, a
    folder that `plenary census import` wrote, or a Population. settings: any other of
    PanelSettings, such as quotas or pool. The same arguments give the same panel.

    >>> import plenary as pl
    >>> pl.sample_panel(12, by=["age", "sex"], seed=1).seats.ids[:2]
    ('c001', 'c002')
    """
    chosen = {"citizens": citizens, "by": tuple(by), "method": method, **settings}
    how = chosen_settings(PanelSettings, chosen, "sample_panel")
    if isinstance(population, str | Path):
        population = load_population(PopulationSettings(folder=Path(population).expanduser()))
    people = load_population() if population is None else population
    return drawn_panel(people, recruit(people, how, seed), how.by, profile)


def load_outcomes(
    source: object = None, *, count: int | None = None, readable: bool = False, seed: int = 0
) -> OutcomeSet:
    """Outcomes to vote on: sentences that say a state of the world.

    source: None for the catalogue that ships (597 outcomes on 30 topics), a file (YAML, JSON, CSV,
    TSV, JSONL), a list of sentences, dicts with `text` (and id, topic), or a DataFrame. count: take
    so many, spread over the topics. readable: leave out what the model that ships reads poorly.
    `.split(held_out=0.4, seed=0)` holds some out.

    >>> import plenary as pl
    >>> pl.load_outcomes(["a park is built", "a library is built", "a road is built"])
    3 outcomes on 1 topic
    """
    return outcome_set(source, count, seed, readable=readable)


async def ahold_assembly(
    panel: object,
    outcomes: object,
    model: object,
    *,
    rounds: int = 1,
    seed: int = 0,
    rule: str | Rule = "weighted_share",
    strata: str | None = None,
    train_pairs: int | None = None,
    held_out_pairs: int | None = None,
    folder: str | Path | None = None,
    quiet: bool | None = None,
    **settings: object,
) -> AssemblyResult:
    """As `hold_assembly`, inside an event loop."""
    seats = own_panel(panel).seats
    chosen = outcome_set(outcomes)
    played = load_model(model)
    how = chosen_settings(AssemblySettings, {"rounds": rounds, **settings}, "hold_assembly")
    _check_reading(chosen, played)
    pairs, held = chosen.pairs(train_pairs, held_out_pairs, seed)
    agenda = VotingAgenda(chosen.catalogue.outcomes, pairs, held)
    with assembly_bar(quiet) as watch:
        found = await _hold(
            played.backend, seats, agenda, how, seed,
            rule=rule, strata=strata, folder=Path(folder) if folder else None, on_event=watch,
        )  # fmt: skip
    return AssemblyResult.of(found)


def hold_assembly(
    panel: object,
    outcomes: object,
    model: object,
    *,
    rounds: int = 1,
    seed: int = 0,
    rule: str | Rule = "weighted_share",
    strata: str | None = None,
    train_pairs: int | None = None,
    held_out_pairs: int | None = None,
    folder: str | Path | None = None,
    quiet: bool | None = None,
    **settings: object,
) -> AssemblyResult:
    """Let citizens vote on pairs of outcomes, discuss at tables, and vote again.

    panel: what `sample_panel` gave, or people of your own: a DataFrame, a list of dicts (a column
    `description` is what the model is told, else it is made from the facts), or a list of
    descriptions. outcomes: what `load_outcomes` takes or gave; pairs are drawn within either side
    of a split. model: who plays the citizens; whatever `load_model` takes. rule: how ballots become
    labels, a name or a function from an Electorate to a RuleResult; strata: the attribute that a
    rule over strata weighs. folder: keeps what was asked, so that the same call goes on where it
    stopped. settings: any other of AssemblySettings, such as table_size, speakers, plenary,
    follow_up, briefing, summary, condition.

    >>> import plenary as pl
    >>> panel = pl.sample_panel(4, by=["sex"], seed=0)
    >>> outcomes = pl.load_outcomes(["a park is built", "a road is built", "taxes are cut"])
    >>> pl.hold_assembly(panel, outcomes, "embedded", table_size=2)
    Assembly of 4 citizens on 3 pairs (0 held out), 1 round, ... statements, ... pairs contested
    """
    return waited(
        ahold_assembly(
            panel, outcomes, model, rounds=rounds, seed=seed, rule=rule, strata=strata,
            train_pairs=train_pairs, held_out_pairs=held_out_pairs, folder=folder, quiet=quiet,
            **settings,
        )
    )  # fmt: skip


def _check_reading(outcomes: OutcomeSet, model: Model) -> None:
    """Say what the model that ships cannot read; DataError where that is too much."""
    if not model.is_embedded:
        return
    if outcomes.shipped:
        poorly = sorted(unreadable_topics() & set(outcomes.catalogue.topics))
        if poorly:
            _LOG.warning("the model that ships reads these topics poorly: %s", ", ".join(poorly))
        return
    for name, words in unread_outcomes(outcomes.catalogue).items():
        _LOG.warning("the model that ships cannot read %s of outcome %s", ", ".join(words), name)
