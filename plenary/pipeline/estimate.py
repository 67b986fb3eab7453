"""Estimating calls, tokens, cost and time of a run before any paid model is asked (--dry-run).

Calls are counted by holding the assembly on a few pairs with a stand-in for the model. Every pair
is asked alike, so the total is a multiple of this (the few paraphrased ballots are counted in
full). Equal prompts are asked only once if answers are exact, so the true number may be slightly
lower. Tokens are estimated at 4 characters each and statements at their full length, which gives an
upper bound. Training and the measures after it are not included.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from assembly.deliberation.paraphrase import MEMORY, ask_paraphrased
from assembly.deliberation.session import convene
from assembly.record.ledger import Ledger
from census_data.population import load_population
from evaluation.elicitation.asking import conversations
from evaluation.elicitation.comprehension import read_outcomes
from evaluation.elicitation.cost import ANSWER_TOKENS, CHARACTERS_A_TOKEN, estimate_cost, tokens
from personas.persona import Panel
from personas.prompt import RENDERINGS, describe
from personas.sampling.recruit import recruit
from plenary.models.base import ChatBackend, Choice, Conversation, Reply, Sampling
from plenary.pipeline.costs import StageCost, total_cost
from plenary.pipeline.run import preflight
from plenary.pipeline.stage import Stage
from plenary.preferences import IntArray
from plenary.prompt_templates import prompt_template
from plenary.runs.config import PipelineConfig
from plenary.runs.models import citizens_models, open_model, price_for, probed, resolve, takes_part
from plenary.runs.plan import Plan
from plenary.stages.paraphrase import PAIRS_A_CITIZEN
from plenary.stages.plan import chosen_outcomes, make_plan

SAMPLE_PAIRS = 8
PROBED = 512
# A speed probe that took this many seconds is long enough.
ENOUGH = 1.0


class StandIn(ChatBackend):
    """Counts what a model would be asked; its replies and choices mean nothing."""

    name = "stand-in"
    supports_seed = True

    def __init__(self, *, exact: bool) -> None:
        self.exact_choice = exact
        self.prompt_tokens = self.completion_tokens = 0
        self.choices = self.replies = 0
        self.chosen: list[Conversation] = []
        self.spoken: list[tuple[Conversation, Sampling]] = []

    async def generate(
        self, conversations: Sequence[Conversation], sampling: Sampling
    ) -> list[Reply]:
        """Distinct texts of the maximum length."""
        answers = []
        for conversation in conversations:
            self.replies += 1
            self.prompt_tokens += tokens(conversation)
            self.completion_tokens += sampling.max_tokens
            self.spoken.append((conversation, sampling))
            words = f"reason {self.replies} "
            answers.append(Reply((words * sampling.max_tokens)[: self._longest(sampling)]))
        return answers

    @staticmethod
    def _longest(sampling: Sampling) -> int:
        return sampling.max_tokens * CHARACTERS_A_TOKEN

    async def choose(
        self,
        conversations: Sequence[Conversation],
        labels: tuple[str, ...],
        *,
        samples: int = 1,
        seed: int = 0,
    ) -> list[Choice]:
        """Equal shares."""
        times = 1 if self.exact_choice else samples
        self.choices += times * len(conversations)
        self.prompt_tokens += times * sum(map(tokens, conversations))
        self.completion_tokens += times * len(conversations) * ANSWER_TOKENS
        self.chosen.extend(conversations)
        return [Choice((1 / len(labels),) * len(labels), 1.0, times, times)] * len(conversations)


class _Pace(NamedTuple):
    """Measured seconds per choice and per reply."""

    choice: float
    reply: float


def estimate(config: PipelineConfig, stages: Sequence[Stage] = ()) -> list[StageCost]:
    """What each stage of a whole run asks and costs; the speed of local models is measured.

    stages: those that are meant to run; what they could not do is an error here, too.
    """
    preflight(config, [stage.check for stage in stages if stage.check is not None])
    catalogue = chosen_outcomes(config.outcomes, config.seed, embedded_reads=takes_part(config))
    plan = make_plan(catalogue, config.outcomes, config.design, config.seed)
    panel = recruit(load_population(config.population), config.panel, config.seed)
    before, *later = _elicitations(config, plan)
    return [before, _assembly(config, plan, panel), _paraphrasing(config, plan, panel), *later]


def _is_here(spec: str) -> bool:
    return not resolve(spec).startswith("langchain:")


def _elicitations(config: PipelineConfig, plan: Plan) -> list[StageCost]:
    here = _is_here(config.model)
    read = _reading(config, plan, config.model)
    cost = estimate_cost(plan.texts, len(plan.pairs), config.elicitation, config.seed)
    if here:
        calls, prompt = cost.calls_exact, cost.prompt_tokens_exact
        completion = calls * ANSWER_TOKENS
    else:
        calls, prompt = cost.calls_sampled, cost.prompt_tokens_sampled
        completion = cost.completion_tokens_sampled
    asked = conversations(
        prompt_template(config.elicitation.template), plan.texts, plan.pairs[:PROBED]
    )
    pace = _pace(config, config.model, list(asked), []) if here else None
    row = StageCost(
        "elicit before",
        calls,
        prompt,
        completion,
        _money(config, {config.model: 1.0}, prompt, completion),
        calls * pace.choice if pace else None,
    )
    after, again = (row._replace(stage=f"elicit {when}") for when in ("after", "retest"))
    row = total_cost([row, *read])._replace(stage=row.stage)
    # Exact answers would only repeat themselves, so they are not asked a second time.
    return [row, after, StageCost(again.stage, 0, 0, 0, 0.0, 0.0) if here else again]


def _reading(config: PipelineConfig, plan: Plan, *specs: str) -> list[StageCost]:
    """The cost of asking the models which words of the outcomes they know."""
    costs = []
    for spec in probed(config, specs):
        stand_in = StandIn(exact=_is_here(spec))
        asyncio.run(read_outcomes({spec: stand_in}, plan.outcomes, 1.0, config.seed))
        costs.append(_counted("reading", config, stand_in, 1.0, {spec: 1.0}))
    return costs


def _assembly(config: PipelineConfig, plan: Plan, panel: Panel) -> StageCost:
    stand_in = _stand_in(config)
    sample = plan.pairs[:SAMPLE_PAIRS]
    _hold(config, plan, panel, sample, stand_in)
    row = _counted("convene", config, stand_in, len(plan.pairs) / len(sample))
    read = _reading(config, plan, *citizens_models(config))
    return total_cost([row, *read])._replace(stage=row.stage)


def _paraphrasing(config: PipelineConfig, plan: Plan, panel: Panel) -> StageCost:
    """Which citizens and pairs will be asked is not known yet, so the first ones stand for them."""
    stand_in, count = _stand_in(config), min(config.dataset.paraphrased, len(panel))
    # Ballots in the assembly's own rendering will already be in the ledger.
    profiles = [
        config.profile.model_copy(update={"rendering": name})
        for name in RENDERINGS
        if name != config.profile.rendering
    ]
    asked = list(panel)[:count]
    wordings = [[describe(persona, one) for persona in asked] for one in profiles]
    pairs = plan.pairs[: PAIRS_A_CITIZEN * count]
    if count:
        with Ledger(MEMORY) as calls:
            arguments = (plan.texts, pairs, config.assembly, calls, config.seed)
            asyncio.run(ask_paraphrased(stand_in, wordings, *arguments))
    return _counted("paraphrase", config, stand_in, 1.0)


def _stand_in(config: PipelineConfig) -> StandIn:
    return StandIn(exact=all(map(_is_here, citizens_models(config))))


def _counted(
    stage: str,
    config: PipelineConfig,
    stand_in: StandIn,
    times: float,
    shares: Mapping[str, float] | None = None,
) -> StageCost:
    """A multiple of what the stand-in was asked, at the price and speed of the citizens' models.

    shares: models that are asked instead of them, each with its share.
    """
    shares = shares or citizens_models(config)
    prompt = round(times * stand_in.prompt_tokens)
    completion = round(times * stand_in.completion_tokens)
    return StageCost(
        stage,
        round(times * (stand_in.choices + stand_in.replies)),
        prompt,
        completion,
        _money(config, shares, prompt, completion),
        _seconds(config, shares, stand_in, times),
    )


def _hold(
    config: PipelineConfig, plan: Plan, panel: Panel, pairs: IntArray, stand_in: StandIn
) -> None:
    texts = tuple(describe(persona, config.profile) for persona in panel)
    # A briefing file may name pairs beyond the sample; it costs only a few words per prompt.
    briefing = config.assembly.briefing
    kept = None if isinstance(briefing, Path) else briefing
    settings = config.assembly.model_copy(update={"briefing": kept})
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
        arguments = (texts, panel.weight, plan.texts, pairs, settings, ledger)
        asyncio.run(convene(stand_in, *arguments, Path(folder) / "checkpoints.sqlite", config.seed))


def _money(
    config: PipelineConfig, shares: Mapping[str, float], prompt: int, completion: int
) -> float | None:
    """The price of these tokens, divided over models by share; None if a price is unknown."""
    prices = {spec: price_for(spec, config) for spec in shares}
    parts = [shares[spec] * p.of(prompt, completion) for spec, p in prices.items() if p is not None]
    return sum(parts) / sum(shares.values()) if len(parts) == len(shares) else None


def _seconds(
    config: PipelineConfig, shares: Mapping[str, float], stand_in: StandIn, times: float
) -> float | None:
    """Time needed, each model at its own speed; None if one of them is an endpoint."""
    if not all(map(_is_here, shares)):
        return None
    spent = 0.0
    for spec, share in shares.items():
        pace = _pace(config, spec, stand_in.chosen[:PROBED], stand_in.spoken[:PROBED])
        spent += share * (stand_in.choices * pace.choice + stand_in.replies * pace.reply)
    return times * spent / sum(shares.values())


def _pace(
    config: PipelineConfig,
    spec: str,
    chosen: Sequence[Conversation],
    spoken: Sequence[tuple[Conversation, Sampling]],
) -> _Pace:
    """A model's measured speed on conversations of its stage, in growing batches."""
    model = open_model(spec, config, config.budget)

    async def choose(count: int) -> None:
        await model.choose(chosen[:count], ("A", "B"))

    async def speak(count: int) -> None:
        await model.generate([conversation for conversation, _ in spoken[:count]], spoken[0][1])

    return _Pace(_seconds_each(choose, len(chosen)), _seconds_each(speak, len(spoken)))


def _seconds_each(ask: Callable[[int], Coroutine[None, None, None]], most: int) -> float:
    count, spent = 0, 0.0
    while spent < ENOUGH and count < most:
        count = min(most, max(8, 4 * count))
        began = time.perf_counter()
        asyncio.run(ask(count))
        spent = time.perf_counter() - began
    return spent / max(count, 1)
