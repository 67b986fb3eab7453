"""The configuration of a run: all stages' settings, YAML presets, and `--set a.b=c` changes."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self, cast
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from alignment.training.settings import AlignmentSettings
from assembly.dataset.card import UNSTATED
from assembly.record.postgres import check_address
from assembly.record.settings import AssemblySettings, RuleName
from census_data.population import PopulationSettings
from evaluation.batteries.base import BatterySettings
from evaluation.comparison.compare import ComparisonSettings
from evaluation.elicitation.design import DesignSettings
from evaluation.elicitation.elicit import ElicitationSettings
from evaluation.hiring.settings import HiringSettings
from evaluation.utility.thurstonian import FitSettings
from personas.prompt import ProfileSettings
from personas.sampling.recruit import PanelSettings
from plenary.errors import ConfigError, together
from plenary.models.prices import Price
from plenary.models.settings import ChatSettings
from plenary.outcomes import configs_folder
from plenary.safe_text import redacted
from plenary.untrusted import Written, fitted, read_tree

Tree = dict[str, object]
FILES = (
    ("outcomes", "path"),
    ("assembly", "briefing"),
    ("alignment", "replay"),
    ("", "analysis_plan"),
)
WORDS = ("generated",)
GATE = (("elicitation", "min_mass"), ("assembly", "min_mass"))


class OutcomeSettings(BaseModel):
    """Which outcomes are debated, and which of them the model is never trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = Field(
        default=None,
        description="catalogue (.yaml, .json, .csv, .tsv, .jsonl); none: the shipped one",
    )
    count: int | None = Field(
        default=64, ge=4, description="number of outcomes drawn, spread over the topics; none: all"
    )
    exclude_topics: tuple[str, ...] = Field(default=(), description="topics to leave out")
    readable_only: bool = Field(
        default=True,
        description="leave out topics that the shipped model cannot read, if it takes part",
    )
    max_unread: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="largest share of your own outcomes with a word that a model of the run "
        "does not know; above it the run is refused, below it they are named",
    )
    probe: bool | Literal["auto"] = Field(
        default="auto",
        description="ask models, before the assembly, which words of the outcomes they know; auto: "
        "only for your own outcomes. The shipped model is not asked, as its words are known",
    )
    held_out: float = Field(
        default=0.4, gt=0, lt=1, description="share of the outcomes that are never trained on"
    )


class BudgetSettings(BaseModel):
    """What one command may ask of each model; recorded answers are kept and cost nothing again.

    Every start of a command, also of a resumed run, has the full budget. None means no limit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int | None = Field(
        default=None,
        ge=1,
        description="requests to a model: every sampled answer, probe and retry is one",
    )
    tokens: int | None = Field(
        default=None,
        ge=1,
        description="prompt and completion tokens of a model, set aside before each request",
    )
    money: float | None = Field(
        default=None,
        gt=0,
        description="the most that a model may cost, in the currency of its price",
    )
    seconds: float | None = Field(
        default=None,
        gt=0,
        description="seconds after the first call to a model during which further calls may begin",
    )
    prices: dict[str, Price] = Field(
        default={},
        description="PROVIDER:MODEL (@ADDRESS) -> price of a million prompt and completion tokens; "
        "takes precedence over the shipped table",
    )


class DatasetSettings(BaseModel):
    """How labels are made, and facts for publication, most of which only the publisher knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strata: tuple[str, ...] = Field(
        default=("age", "sex", "race_origin", "education", "region"),
        min_length=1,
        description="attributes by which labels, movement and dissent are broken down",
    )
    rule: RuleName = Field(
        default="weighted_share",
        description="how ballots become labels; rules other than weighted_share bootstrap groups "
        "100 times for intervals",
    )
    rule_strata: str = Field(
        default="region",
        description="attribute whose categories are the strata of rules over strata and of "
        "multilevel utilities",
    )
    utilities: Literal["multilevel", "pooled"] = Field(
        default="multilevel",
        description="the assembly's utilities: strata fitted together, or one fit to the labels; "
        "labels of rules other than weighted_share and multilevel_thurstonian, and parts that "
        "fit.disconnected keeps apart, are always pooled",
    )
    paraphrased: int = Field(
        default=6,
        ge=0,
        description="number of citizens asked again before discussion, on four times as many "
        "pairs, with their profile in every rendering: what persona wording adds to a label's "
        "error",
    )
    novelty: bool = Field(
        default=False, description="compare statements by embeddings (needs the extra `diversity`)"
    )
    licence: str = Field(
        default=UNSTATED, min_length=1, description="SPDX identifier of the dataset's licence"
    )
    creator: str = Field(default="not given", min_length=1, description="who publishes it")
    contact: str = Field(default="not given", min_length=1, description="where to send questions")
    removal: str = Field(default="not given", min_length=1, description="how to have a row removed")
    url: str = Field(
        default="not given", min_length=1, description="where the dataset is published"
    )
    published: str | None = Field(
        default=None,
        pattern=r"^\d{4}-\d{2}-\d{2}$",
        description="date of publication; none: the day of the run",
    )
    version: str = Field(
        default="0.1.0", pattern=r"^\d+\.\d+\.\d+$", description="version of the dataset"
    )
    validation: str | None = Field(
        default=None, min_length=1, description="comparisons made with human data"
    )


class MeasureSettings(BaseModel):
    """What a run measures, before and after training, besides utilities."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wording_pairs: int = Field(
        default=40,
        ge=0,
        description="held-out pairs asked in every designed wording; 0: no wording study; "
        "about 200 give the outcomes' share of variance to +-0.05",
    )
    hiring: bool = Field(
        default=False, description="audit hiring decisions, with the settings `hiring`"
    )
    retention: bool = Field(
        default=True, description="measure what training kept: neutral text, items, replies"
    )
    human_anchor: bool = Field(
        default=False, description="ask the survey's items, also of the citizens"
    )


class PipelineConfig(BaseModel):
    """Everything a run depends on. Secrets come from the environment and are never part of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="run", description="name of the run directory")
    seed: int = Field(default=0, ge=0, description="root seed of all random streams")
    model: str = Field(
        default="embedded", description="model to be aligned: embedded or local:PATH"
    )
    citizens_model: str | dict[str, float] = Field(
        default="embedded",
        description="model that plays the citizens: embedded or a backend spec; or several, each "
        "with the share of citizens that it plays",
    )
    base_url: str | None = Field(
        default=None, description="address of an OpenAI-compatible endpoint for langchain: specs"
    )
    ledger: str | None = Field(
        default=None,
        description="PostgreSQL database for the assembly's ledger, postgresql://USER@HOST/DB, "
        "with its password in PGPASSWORD; none: a file in the run directory",
    )
    outcomes: OutcomeSettings = OutcomeSettings()
    population: PopulationSettings = PopulationSettings()
    panel: PanelSettings = PanelSettings()
    profile: ProfileSettings = ProfileSettings()
    design: DesignSettings = DesignSettings()
    elicitation: ElicitationSettings = ElicitationSettings()
    assembly: AssemblySettings = AssemblySettings()
    dataset: DatasetSettings = DatasetSettings()
    alignment: AlignmentSettings = AlignmentSettings()
    fit: FitSettings = FitSettings()
    comparison: ComparisonSettings = ComparisonSettings()
    measures: MeasureSettings = MeasureSettings()
    hiring: HiringSettings = HiringSettings()
    battery: BatterySettings = BatterySettings()
    analysis_plan: Path | None = Field(
        default=None,
        description="plan that was locked before the run (plenary preregister lock); the report "
        "compares the run with it",
    )
    chat: ChatSettings = ChatSettings()
    budget: BudgetSettings = BudgetSettings()

    @field_validator("name")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", value):
            raise ValueError(
                "use letters, digits, '.', '_' and '-', at most 80, a letter or digit first"
            )
        return value

    @model_validator(mode="after")
    def _one_gate(self) -> Self:
        """Ballots and elicitations use the same answer mass as threshold for a valid answer."""
        mass, other = self.elicitation.min_mass, self.assembly.min_mass
        if mass == other:
            return self
        if "min_mass" not in self.assembly.model_fields_set:
            assembly = self.assembly.model_copy(update={"min_mass": mass})
            return self.model_copy(update={"assembly": assembly})
        if "min_mass" not in self.elicitation.model_fields_set:
            elicitation = self.elicitation.model_copy(update={"min_mass": other})
            return self.model_copy(update={"elicitation": elicitation})
        raise ValueError(
            f"elicitation.min_mass {mass!r} and assembly.min_mass {other!r} are the same "
            "threshold; set elicitation.min_mass only"
        )

    @field_validator("ledger")
    @classmethod
    def _database(cls, value: str | None) -> str | None:
        return value if value is None else check_address(value)

    @field_validator("base_url")
    @classmethod
    def _no_secret(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "http://none")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("give an address that starts with http:// or https://")
        if parts.username or parts.password:
            raise ValueError(
                "an address must not contain a password; set the provider's API key variable"
            )
        return value


def load_config(source: str | Path | None, overrides: Sequence[str] = ()) -> PipelineConfig:
    """Read a preset and apply `a.b=c` changes; ConfigError names what is wrong and what to do.

    `source` is a YAML file, the name of a shipped preset, a run directory, or None for the
    defaults.
    """
    tree = _read(_found(source)) if source is not None else Written()
    for override in overrides:
        _apply(tree, override)
    _one_name_given(tree, overrides)
    return validated(_absolute(tree))


def _one_name_given(tree: Written, overrides: Sequence[str]) -> None:
    """A change of min_mass under one of its two names overrides the other name in a file."""
    given = {override.partition("=")[0].strip() for override in overrides}
    for name, other in (GATE, GATE[::-1]):
        group = tree.get(other[0])
        if ".".join(name) in given and ".".join(other) not in given and isinstance(group, dict):
            group.pop(other[1], None)


def validated(tree: Mapping[str, object] | Written) -> PipelineConfig:
    """The config in a nested mapping; ConfigError for unknown names and wrong types."""
    try:
        return fitted(PipelineConfig, tree)
    except ValidationError as error:
        raise ConfigError(_message(error)) from error


def resolved_yaml(config: PipelineConfig) -> str:
    """Every setting with its value, defaults included, as YAML that `load_config` reads back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def config_hash(config: PipelineConfig) -> str:
    """Hash of the settings (blake2b-64), without the run's name."""
    text = config.model_dump_json(exclude={"name"})
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def known_settings(model: type[BaseModel] = PipelineConfig, prefix: str = "") -> Iterator[str]:
    """Dotted names of all settings, including groups of settings."""
    for name, field in model.model_fields.items():
        yield prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from known_settings(field.annotation, f"{prefix}{name}.")


def flat_settings(config: PipelineConfig) -> dict[str, object]:
    """Dotted name -> value of every setting."""
    return dict(_flatten(config.model_dump(mode="json"), ""))


def _flatten(tree: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flatten(cast("Tree", value), f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _found(source: str | Path) -> Path:
    path = Path(source)
    if (path / "manifest.json").is_file():
        path /= "config.yaml"
    if path.is_file():
        return path
    shipped = configs_folder() / f"{path.name.removesuffix('.yaml')}.yaml"
    if path.parent == Path() and shipped.is_file():
        return shipped
    presets = ", ".join(sorted(p.stem for p in configs_folder().glob("*.yaml")))
    raise ConfigError(
        f"no config {str(source)!r}; give a YAML file, a run directory or a preset: {presets}"
    )


def _read(path: Path) -> Written:
    data = read_tree(path, "config", ConfigError)
    if data is None:
        return Written()
    if not isinstance(data, Written):
        raise ConfigError(f"config {str(path)!r} holds {data!r}; write settings as 'name: value'")
    of_run = (path.parent / "manifest.json").is_file()
    return data if of_run else _absolute(data, path.parent)


def _absolute(tree: Written, folder: Path = Path()) -> Written:
    """The tree with files relative to `folder` named by full path, so a run's settings stay valid.

    A value that names no file is left as it is.
    """
    for group, name in FILES:
        inner = tree.get(group) if group else tree
        file = inner.get(name) if isinstance(inner, Written) else None
        if isinstance(inner, Written) and isinstance(file, str) and file not in WORDS:
            inner[name] = str((folder / file).absolute())
    return tree


def _apply(tree: Written, override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"cannot read {override!r}; write --set a.b=value")
    *groups, last = name.strip().split(".")
    here = tree
    for group in groups:
        inner = here.setdefault(group, Written())
        if not isinstance(inner, Written):
            raise ConfigError(
                f"{override!r} goes into {group!r}, which is a value; {_nearest(name)}"
            )
        here = inner
    try:
        here.put(last, text)
    except yaml.YAMLError as error:
        raise ConfigError(f"cannot read the value in {override!r}; quote it as in YAML") from error


def _message(error: ValidationError) -> str:
    """All that is wrong with the settings, each with what to do."""
    return together([_fault(one) for one in error.errors()])


def _fault(fault: ErrorDetails) -> str:
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"unknown setting {name!r}; {_nearest(name)}"
    reason = fault["msg"].removeprefix("Value error, ")
    if not name:
        return f"settings do not fit together: {reason}"
    value = redacted(repr(fault.get("input")))
    return f"setting {name!r} has {value}: {reason}; change the value"


def _nearest(name: str) -> str:
    known = list(known_settings())
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    if not close:
        tail = name.rpartition(".")[2]
        close = [k for k in known if k.rpartition(".")[2] == tail][:1]
    if close:
        return f"the nearest known one is {close[0]!r}"
    return f"known are {', '.join(k for k in known if '.' not in k)}"
