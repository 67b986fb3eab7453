"""LoRA (peft): adapter variant, rank, adapted layers, loading the base model, and merging."""

from __future__ import annotations

import shutil
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import torch
import transformers
from peft import LoraConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTuner
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from alignment.training.adapter import base_fingerprint, check_adapter
from alignment.training.settings import AlignmentSettings
from alignment.training.trainer import lora_config, without_library_warnings
from plenary.errors import BackendError, ConfigError, DataError
from plenary.models.local.checkpoints import LOAD_ERRORS, load_tokenizer
from plenary.models.local.huggingface import ROUNDING, load_model, probe_log_probs

CHANCE = ("drop", "jitter")


def chosen_rank(path: Path, settings: AlignmentSettings) -> int:
    """The rank set, or the largest one within `trainable_fraction`.

    Trained parameters grow linearly with the rank, so two adapters on a model without weights
    determine the line. ConfigError if not even rank 1 fits, or if a target is unknown.
    """
    fraction = settings.trainable_fraction
    if fraction is None:
        return settings.rank
    (one, total), (two, _) = (_sizes(path, settings, rank) for rank in (1, 2))
    each = two - one
    rank = int(
        (fraction * (total - one) - (1 - fraction) * (one - each)) // ((1 - fraction) * each)
    )
    if rank < 1:
        raise ConfigError(
            f"trainable_fraction {fraction!r} is less than the {one / total:.2g} of rank 1; "
            "raise it or name fewer targets"
        )
    return rank


def _sizes(path: Path, settings: AlignmentSettings, rank: int) -> tuple[int, int]:
    """Trained parameters and all parameters, the adapter's included, at one rank."""
    adapter = lora_config(settings, rank)
    with torch.device("meta"), naming_layers(adapter):
        adapted = get_peft_model(_without_weights(path), adapter)
    counts = [(p.numel(), p.requires_grad) for p in adapted.parameters()]
    return sum(n for n, trained in counts if trained), sum(n for n, _ in counts)


def check_targets(path: Path, settings: AlignmentSettings) -> None:
    """Raise ConfigError if the layers to adapt do not exist, or cannot be adapted alone.

    A layer whose weights another one shares (tied embeddings) changes alone while it is trained,
    and both change once the adapter is merged: another model. TRL adapts no output layer.
    """
    adapter = lora_config(settings, 1)
    with torch.device("meta"), naming_layers(adapter), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*tie_word_embeddings", UserWarning)
        model = _without_weights(path)
        users = defaultdict[int, list[str]](list)
        for name, module in model.named_modules():
            for weights in module.parameters(recurse=False):
                users[id(weights)].append(name)
        shared = {name: names for names in users.values() if len(names) > 1 for name in names}
        output = [n for n, m in model.named_modules() if m is model.get_output_embeddings()]
        adapted = get_peft_model(model, adapter).base_model
    for name in cast("BaseTuner", adapted).targeted_module_names:
        if name in shared:
            others = " and ".join(repr(other) for other in shared[name] if other != name)
            raise ConfigError(
                f"alignment.targets {settings.targets!r} adapts {name!r}, which shares its weights "
                f"with {others} in {str(path)!r} (tied embeddings); name other layers, such as "
                "all-linear, or untie the model first"
            )
        if name in output:
            raise ConfigError(
                f"alignment.targets {settings.targets!r} adapts the output layer {name!r}, which "
                "the trainer cannot; name other layers, such as all-linear"
            )


def _without_weights(path: Path) -> PreTrainedModel:
    """The model at `path` built from its configuration, for use on the meta device."""
    try:
        config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        return cast("PreTrainedModel", AutoModelForCausalLM.from_config(config))
    except LOAD_ERRORS as error:
        raise BackendError(
            f"cannot read the configuration of {str(path)!r}: {error}; check the checkpoint"
        ) from error


@contextmanager
def naming_layers(config: LoraConfig) -> Iterator[None]:
    """Raise ConfigError if peft finds no layer of a name, or trl one that must not be adapted."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(
            f"cannot adapt the layers {config.target_modules!r}: {error}; name the model's own"
        ) from error


def load_base(path: Path, settings: AlignmentSettings, *, bf16: bool) -> PreTrainedModel:
    """The base to train on: bfloat16 or float32, in 4 bits for qlora."""
    transformers.utils.logging.disable_progress_bar()
    four_bits = _four_bits() if settings.variant == "qlora" else None
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=torch.bfloat16 if bf16 else torch.float32,
            quantization_config=four_bits,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
    except LOAD_ERRORS as error:
        raise BackendError(
            f"cannot load model {str(path)!r} for training: {error}; check the checkpoint"
        ) from error
    return without_dropout(cast("PreTrainedModel", model))


def _four_bits() -> BitsAndBytesConfig:
    """NF4 with double quantisation, as in Dettmers et al. (2023) [dettmers2023]."""
    if find_spec("bitsandbytes") is None:
        raise ConfigError(
            "variant 'qlora' needs the package bitsandbytes, which is not installed; "
            "pip install bitsandbytes, or set alignment.variant to 'lora'"
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def without_dropout(model: PreTrainedModel) -> PreTrainedModel:
    """The model without randomness, so that adapter on and off differ only by the adapter.

    Dropout, layer drop and the jitter of routers, as modules or as numbers that a forward pass
    reads.
    """
    for holder in (*model.modules(), model.config, model.config.get_text_config()):
        if isinstance(holder, nn.Dropout):
            holder.p = 0.0
        for name, value in list(vars(holder).items()):
            if isinstance(value, float) and any(word in name for word in CHANCE):
                setattr(holder, name, 0.0)
    return model


def merge(adapter: Path, base: Path, out: Path) -> str:
    """Write the merged float32 checkpoint with its tokenizer to `out`, completely or not at all.

    Returns the hash of its weights (see base_fingerprint). Always float32: a small update is lost
    when rounded to bfloat16. DataError if the two do not belong together, if `out` exists, or if
    what was written reads back as a different model.
    """
    check_adapter(adapter, base)
    if out.exists():
        raise DataError(f"{str(out)!r} exists; choose another folder for the merged model")
    staged = out.with_name(out.name + ".partial")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        with without_library_warnings():
            merged = load_model(base, adapter=adapter)
            merged.save_pretrained(staged)
        away = float((probe_log_probs(merged) - probe_log_probs(load_model(staged))).abs().max())
        if not away <= ROUNDING:
            raise DataError(
                f"adapter {str(adapter)!r} cannot be written as one checkpoint with its base: read "
                f"back, log-probabilities differ by up to {away:.2g}; use the two unmerged"
            )
        load_tokenizer(base).save_pretrained(staged)
        staged.replace(out)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return base_fingerprint(out)
