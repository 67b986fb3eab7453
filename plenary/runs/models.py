"""Opening a run's models by name with cache, budget and price; which model plays which citizen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import plenary.embedded as embedded
from plenary.errors import ConfigError
from plenary.hashing import content_hash
from plenary.models.base import ChatBackend
from plenary.models.prices import Price, price_of, read_prices
from plenary.models.registry import (
    BACKENDS,
    check_template,
    existing_folder,
    gpu_at_hand,
    open_backend,
)
from plenary.models.wrappers.budget import BudgetedBackend
from plenary.models.wrappers.cache import SqliteStore
from plenary.models.wrappers.mixed import MixedBackend, shares_of_models
from plenary.outcomes import configs_folder
from plenary.runs.config import BudgetSettings, PipelineConfig
from plenary.runs.fingerprint import module_hash

EMBEDDED = "embedded"
LOCAL = "local:"
PLANTED = "planted:"
EXACT = ("cpu", "float32", False)
UNSURE = {
    "langchain": "is an endpoint, whose answers may change from call to call even with a seed",
    "vllm": "batches prompts as they come, so last digits may change",
}


def resolve(spec: str) -> str:
    """A backend spec: "embedded" becomes local:PATH of the shipped model."""
    if spec == EMBEDDED:
        return f"{LOCAL}{embedded.model_path()}"
    prefix = spec.partition(":")[0]
    if prefix not in BACKENDS:
        known = ", ".join([EMBEDDED, *(f"{name}:..." for name in BACKENDS)])
        raise ConfigError(f"unknown backend spec {spec!r}; use one of {known}")
    return spec


def checkpoint_path(spec: str) -> Path:
    """Folder of the checkpoint behind a spec; ConfigError if there are no weights."""
    resolved = resolve(spec)
    if not resolved.startswith(LOCAL):
        raise ConfigError(
            f"model {spec!r} has no weights to train; use model=embedded or model=local:PATH "
            "(`plenary elicit` can measure it without training)"
        )
    return existing_folder(resolved.removeprefix(LOCAL), "model")


@cache
def spec_hash(spec: str) -> str:
    """Content hash of the files behind a spec; '' for an endpoint."""
    return content_hash(Path(resolve(spec).partition(":")[2]))


def citizens_models(config: PipelineConfig) -> dict[str, float]:
    """Models that play citizens, each with its share."""
    chosen = config.citizens_model
    return chosen if isinstance(chosen, dict) else {chosen: 1.0}


def specs(config: PipelineConfig) -> tuple[str, ...]:
    """Every model of a run, first the one to be aligned."""
    return (config.model, *citizens_models(config))


def check_models(config: PipelineConfig) -> None:
    """Raise an error, before anything is written, if a model of the config cannot play its role."""
    for spec in specs(config):
        _prints_date(spec)


@cache
def _prints_date(spec: str) -> bool:
    """Whether a model's chat template prints a date; the shipped model's does not."""
    return check_template(resolve(spec)) if spec != EMBEDDED else False


@cache
def _list_prices() -> dict[str, Price]:
    return read_prices(configs_folder() / "models" / "prices.yaml")


def call_store(path: Path) -> SqliteStore:
    """The cache of answers in a file, keyed also by the code that asks and reads them."""
    return SqliteStore(path, module_hash(open_backend.__module__))


def open_plain(spec: str, config: PipelineConfig, adapter: Path | None = None) -> ChatBackend:
    """Open a model."""
    return open_backend(
        resolve(spec), adapter=adapter, base_url=config.base_url, settings=config.chat
    )


def budgeted(
    backend: ChatBackend, spec: str, config: PipelineConfig, budget: BudgetSettings
) -> BudgetedBackend:
    """A model under a budget, with its price; it counts what it is asked."""
    return BudgetedBackend(
        backend,
        calls=budget.calls,
        tokens=budget.tokens,
        money=budget.money,
        seconds=budget.seconds,
        price=price_for(spec, config),
    )


def price_for(spec: str, config: PipelineConfig) -> Price | None:
    """Price of a model's tokens from the config's table, else from the shipped one."""
    return price_of(resolve(spec), {**_list_prices(), **config.budget.prices}, config.base_url)


def open_model(
    spec: str, config: PipelineConfig, budget: BudgetSettings, adapter: Path | None = None
) -> BudgetedBackend:
    """Open a model under a budget."""
    return budgeted(open_plain(spec, config, adapter), spec, config, budget)


def cast_models(config: PipelineConfig, citizens: int) -> list[str]:
    """The model that plays each citizen [C]."""
    return shares_of_models(citizens, citizens_models(config), config.seed)


def seat_models(
    config: PipelineConfig, backends: Mapping[str, ChatBackend], worded: Sequence[Sequence[str]]
) -> ChatBackend:
    """The model that plays the citizens, or several models, each for its share of them.

    worded: the persona texts of all citizens, in each wording in use.
    """
    shares = citizens_models(config)
    if len(shares) == 1:
        return backends[next(iter(shares))]
    cast = cast_models(config, len(worded[0]))
    played = {text: model for texts in worded for text, model in zip(texts, cast, strict=True)}
    return MixedBackend(backends, played, max(shares, key=lambda spec: shares[spec]))


def takes_part(config: PipelineConfig) -> bool:
    """Whether the shipped model plays citizens or is the model to be aligned."""
    return EMBEDDED in specs(config)


def probed(config: PipelineConfig, models: Iterable[str]) -> list[str]:
    """The models that are asked which words they know; planted ones know their own."""
    wanted = config.outcomes.probe
    if not (config.outcomes.path if wanted == "auto" else wanted):
        return []
    return [m for m in models if m != EMBEDDED and not m.startswith(PLANTED)]


def deterministic(
    config: PipelineConfig, *, alone: bool = True, trains: bool = False
) -> tuple[bool, str]:
    """Whether the same seed gives the same figures, as far as tests verify it, and the reason.

    alone: a single process asks. trains: a model is trained.
    """
    local = config.chat.local
    for spec in specs(config):
        prefix = resolve(spec).partition(":")[0]
        if prefix in UNSURE:
            return False, f"{spec!r} {UNSURE[prefix]}"
        if prefix == "local" and (local.device, local.dtype, local.four_bit) != EXACT:
            bits = "4 bits" if local.four_bit else local.dtype
            return False, f"not verified for {bits} on {local.device}; float32 on the CPU repeats"
        if config.chat.day is None and _prints_date(spec):
            return False, f"the chat template of {spec!r} prints a date; set chat.day to repeat it"
    if not alone:
        return False, "not verified for several workers, which divide prompts as they come"
    if trains and gpu_at_hand():
        return False, "not verified for training on a GPU, and this machine has one"
    return True, (
        "verified by tests, not in this run: models in float32 on the CPU in one process give "
        "the same figures on the same machine with the same seed, versions and number of threads"
    )
