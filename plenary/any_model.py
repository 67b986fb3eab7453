"""Opening whatever a user passes as a model: a name, a folder, a hub id, a function, an object."""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, cast

import plenary.embedded as embedded
from plenary.errors import BackendError, ConfigError
from plenary.models.base import ChatBackend
from plenary.models.registry import BACKENDS, gpu_at_hand, open_backend
from plenary.models.settings import ChatSettings, LocalSettings
from plenary.models.wrappers.function import FunctionBackend, ReplyFunction

if TYPE_CHECKING:
    from plenary.models.local.in_memory import PreTrainedModel, PreTrainedTokenizerBase

_LOG = logging.getLogger(__name__)
EMBEDDED = "embedded"
# What belongs to a checkpoint; weights in other formats are left where they are.
CHECKPOINT = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
HUB = "plenary.models.local.hub"
IN_MEMORY = "plenary.models.local.in_memory"
LANGCHAIN = "plenary.models.langchain"
ENDPOINTS = ("openai", "anthropic", "google_genai", "mistralai", "ollama")


class Model:
    """An open model, which `backend` is asked through.

    folder: of the checkpoint it was read from. adapter: folder of the adapter that was merged into
    it. None where there is none.
    """

    def __init__(
        self, backend: ChatBackend, folder: Path | None = None, adapter: Path | None = None
    ) -> None:
        self.backend, self.folder, self.adapter = backend, folder, adapter

    @property
    def name(self) -> str:
        """Identity of the model, adapter included."""
        return self.backend.name

    @property
    def weights(self) -> PreTrainedModel | None:
        """The transformers model, where it is in this process's memory."""
        return getattr(self.backend, "weights", None)

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        """Its tokenizer."""
        return getattr(self.backend, "tokenizer", None)

    @property
    def is_embedded(self) -> bool:
        """Whether it is the model that ships, with or without an adapter."""
        return self.folder is not None and self.folder == embedded.model_path()

    def __repr__(self) -> str:
        how = "exact probabilities" if self.backend.exact_choice else "answers are sampled"
        if self.weights is not None:
            count = sum(p.numel() for p in self.weights.parameters())
            how += f", {count / 1e6:,.1f} million parameters"
        where = f", {str(self.folder)!r}" if self.folder is not None else ""
        worn = f", adapter {str(self.adapter)!r}" if self.adapter is not None else ""
        return f"Model({self.name!r}{where}{worn}, {how})"


def load_model(
    model: object,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    adapter: str | Path | None = None,
    base_url: str | None = None,
    device: str | None = None,
    dtype: str = "float32",
    settings: ChatSettings | None = None,
    day: date | None = None,
) -> Model:
    """Open a model, whatever it is given as.

    model: "embedded" (the one that ships); a folder with a checkpoint, or with an adapter that says
    which base it is for; a hub's id such as "Qwen/Qwen2.5-0.5B-Instruct", which is downloaded once;
    "openai:NAME" or another provider of LangChain, at base_url or the provider's own address; a
    backend spec of the command line such as "vllm:PATH"; a function from messages to a reply; a
    LangChain chat model; a transformers or PEFT model in memory, with its tokenizer; or what
    `load_model` gave before.
    adapter: folder of a LoRA adapter for a checkpoint. device: cpu, cuda, cuda:N, mps or auto; by
    default a GPU where there is one. dtype: float32, bfloat16, float16. day: what a chat template
    that prints today's date prints instead. ConfigError or BackendError says what to do.
    """
    if isinstance(model, Model):
        return model
    if isinstance(model, str | Path):
        local = LocalSettings.model_validate({"device": device or _device(), "dtype": dtype})
        chosen = (settings or ChatSettings()).model_copy(update={"local": local, "day": day})
        return _named(str(model), Path(adapter) if adapter else None, base_url, chosen)
    kind = _kind(model)
    if kind == "in memory":
        backend = importlib.import_module(IN_MEMORY).InMemoryBackend(model, tokenizer, day=day)
        return Model(backend)
    if kind == "chat model":
        endpoint = (settings or ChatSettings()).endpoint
        return Model(importlib.import_module(LANGCHAIN).GivenChatModel(model, settings=endpoint))
    if isinstance(model, ChatBackend):
        return Model(model)
    if callable(model):
        return Model(FunctionBackend(cast("ReplyFunction", model)))
    raise ConfigError(
        f"{type(model).__name__} {str(model)[:60]!r} is no model; give a name, a folder, a hub's "
        "id, a function, a LangChain chat model, or a transformers model with its tokenizer"
    )


def _device() -> str:
    return "cuda" if gpu_at_hand() else "cpu"


def _kind(model: object) -> str:
    """What kind of object it is, told by its classes: no library is imported to ask."""
    roots = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    if hasattr(model, "forward") and roots & {"transformers", "peft"}:
        return "in memory"
    if hasattr(model, "ainvoke") and roots & {"langchain_core"}:
        return "chat model"
    return "other"


def _named(name: str, adapter: Path | None, base_url: str | None, settings: ChatSettings) -> Model:
    prefix, found, rest = name.partition(":")
    if name == EMBEDDED:
        return _checkpoint(embedded.model_path(), adapter, settings)
    if found and prefix == "local":
        return _checkpoint(Path(rest), adapter, settings)
    if found and prefix in BACKENDS:
        return Model(open_backend(name, adapter=adapter, base_url=base_url, settings=settings))
    if found and prefix in ENDPOINTS:
        spec = f"langchain:{name}"
        return Model(open_backend(spec, adapter=adapter, base_url=base_url, settings=settings))
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _checkpoint(folder, adapter, settings)
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        fetch: Callable[[str, tuple[str, ...]], Path] = importlib.import_module(HUB).fetched
        return _checkpoint(fetch(name, CHECKPOINT), adapter, settings)
    known = [EMBEDDED, *(f"{one}:NAME" for one in ENDPOINTS), *(f"{one}:..." for one in BACKENDS)]
    raise BackendError(
        f"{name!r} is no model: no folder, no hub's id (OWNER/NAME) and none of {', '.join(known)}"
    )


def _checkpoint(folder: Path, adapter: Path | None, settings: ChatSettings) -> Model:
    """A checkpoint, or the one that an adapter's folder names as its base."""
    config = folder / "adapter_config.json"
    if adapter is None and config.is_file() and not (folder / "config.json").exists():
        base = json.loads(config.read_text(encoding="utf-8")).get("base_model_name_or_path")
        if not base:
            raise BackendError(f"adapter {str(folder)!r} names no base; give it as adapter=")
        _LOG.info("%s is an adapter for %s", folder, base)
        return load_model(base, adapter=folder, settings=settings, device=settings.local.device,
                          dtype=settings.local.dtype, day=settings.day)  # fmt: skip
    door = importlib.import_module(IN_MEMORY)
    backend = door.open_folder(folder, adapter, settings.local, settings.day)
    return Model(backend, folder, adapter)
