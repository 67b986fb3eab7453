"""The list of stages up to the assembly's decision and dataset; they need no training library."""

from __future__ import annotations

from collections.abc import Sequence

from assembly.aggregation.electorate import Rule
from assembly.aggregation.rules import RULES
from plenary.errors import ConfigError
from plenary.pipeline.stage import Stage, citizens_of, held_under, outcomes_of, rule_of, subject
from plenary.runs import filenames
from plenary.stages.assembly import convene_assembly
from plenary.stages.consensus import NamedRule, decide
from plenary.stages.dataset import make_dataset
from plenary.stages.elicitation import elicit_before
from plenary.stages.panel import census, recruit_panel
from plenary.stages.paraphrase import paraphrase
from plenary.stages.plan import plan


def with_rule(stages: Sequence[Stage], name: str, rule: Rule) -> tuple[Stage, ...]:
    """The stages, with labels made by the user's own function; ConfigError if the name is taken.

    A finished stage is recognised by this name, so give a changed function another name.
    """
    if name in RULES:
        raise ConfigError(f"{name!r} is a built-in rule; give your own another name")
    place = [stage.name for stage in stages].index("consensus")
    stage = stages[place]
    changed = stage._replace(
        work=lambda space: decide(space, NamedRule(name, rule)),
        settings=lambda config: (*stage.settings(config), name),
    )
    return (*stages[:place], changed, *stages[place + 1 :])


ASSEMBLY_STAGES: tuple[Stage, ...] = (
    Stage(
        "plan",
        plan,
        lambda c: (*outcomes_of(c), c.design, c.seed),
        (),
        (filenames.PLAN,),
    ),
    Stage("census", census, lambda c: (c.population,), (), (filenames.POPULATION,)),
    Stage(
        "recruit",
        recruit_panel,
        lambda c: (c.panel, c.population, c.seed),
        ("census",),
        (filenames.PANEL, filenames.PANEL_SHEET, filenames.FIDELITY, filenames.SHARES),
    ),
    Stage(
        "elicit before",
        elicit_before,
        lambda c: (*subject(c), c.elicitation, c.seed),
        ("plan",),
        ("before.parquet", "before.json"),
    ),
    # The ledger's calls are content-addressed, so newer code can continue an assembly.
    Stage(
        "convene",
        convene_assembly,
        lambda c: (*citizens_of(c), *held_under(c), c.profile, c.seed),
        ("plan", "recruit"),
        (filenames.VOTES, filenames.STATEMENTS, filenames.ASSEMBLY),
        continues=True,
        recorded=True,
    ),
    Stage(
        "paraphrase",
        paraphrase,
        lambda c: (*citizens_of(c), *held_under(c), c.profile, c.dataset.paraphrased, c.seed),
        ("plan", "recruit", "convene"),
        (filenames.PARAPHRASED,),
        recorded=True,
    ),
    Stage(
        "consensus",
        decide,
        lambda c: (c.comparison, *held_under(c), *rule_of(c), c.seed),
        ("convene", "recruit", "plan"),
        (filenames.CONSENSUS, filenames.CONSENSUS_BEFORE, filenames.DECISION),
    ),
    Stage(
        "dataset",
        make_dataset,
        lambda c: (c.dataset, *held_under(c), *rule_of(c), c.comparison.level, c.seed),
        ("census", "recruit", "plan", "convene", "paraphrase", "consensus"),
        (filenames.DIAGNOSTICS, filenames.DATASET),
    ),
)
