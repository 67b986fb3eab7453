from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, FalconConfig, MixtralConfig, OPTConfig

from alignment.training.lora import chosen_rank, merge, without_dropout
from alignment.training.settings import AlignmentSettings
from alignment.training.train import align, open_aligned
from alignment.training.trainer import without_library_warnings
from plenary.errors import BackendError, ConfigError, DataError
from plenary.models.local.huggingface import LocalBackend
from plenary.models.settings import LocalSettings
from plenary.prompt_templates import LABELS, PROMPT_TEMPLATES, question
from plenary.training_rows import SoftRow

Maker = Callable[[str], Path]
QUICK = AlignmentSettings(batch=15, epochs=6, replay_weight=0, rank=4)


def _shares(backend: LocalBackend, texts: Sequence[str]) -> np.ndarray:
    """Shares of A and B and the answer mass [N, 3] of every ordered pair."""
    asked = [question(PROMPT_TEMPLATES["plain"], a, b) for a in texts for b in texts if a != b]
    choices = asyncio.run(backend.choose(asked, LABELS))
    return np.array([(*choice.shares, choice.mass) for choice in choices])


@pytest.mark.parametrize("variant", ["lora", "rslora", "dora"])
@pytest.mark.parametrize("name", ["qwen2", "gpt2"])
def test_each_variant_learns_and_merges_into_the_same_model(
    checkpoint: Maker,
    texts: tuple[str, ...],
    rows: list[SoftRow],
    tmp_path: Path,
    variant: str,
    name: str,
) -> None:
    settings = QUICK.model_copy(update={"variant": variant})
    base = checkpoint(name)
    result = align(base, rows, settings, tmp_path / "adapter", 0)
    assert result.loss_last < result.loss_first - 0.1
    digest = merge(result.adapter, base, tmp_path / "merged")
    assert digest != result.base_sha256
    adapted = _shares(open_aligned(base, result.adapter), texts)
    merged = _shares(LocalBackend(tmp_path / "merged"), texts)
    np.testing.assert_allclose(merged, adapted, atol=1e-5)
    assert np.abs(adapted - _shares(LocalBackend(base), texts)).max() > 0.01
    with pytest.raises(DataError, match="exists"):
        merge(result.adapter, base, tmp_path / "merged")


def test_variants_are_different_adapters(
    checkpoint: Maker, rows: list[SoftRow], tmp_path: Path
) -> None:
    sizes = {}
    for variant in ("lora", "rslora", "dora"):
        settings = QUICK.model_copy(update={"variant": variant, "epochs": 1})
        found = align(checkpoint("qwen2"), rows, settings, tmp_path / variant, 0)
        sizes[found.adapter_sha256] = found.parameters
    plain, stable, apart = sizes.values()
    assert len(sizes) == 3
    assert plain == stable < apart


@pytest.mark.skipif(find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed")
def test_qlora_without_its_library_says_what_to_do(
    checkpoint: Maker, rows: list[SoftRow], tmp_path: Path
) -> None:
    settings = QUICK.model_copy(update={"variant": "qlora"})
    with pytest.raises(ConfigError, match="pip install bitsandbytes"):
        align(checkpoint("qwen2"), rows, settings, tmp_path / "adapter", 0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed")
def test_qlora_steps_on_a_base_in_four_bits(
    checkpoint: Maker, rows: list[SoftRow], tmp_path: Path
) -> None:
    settings = QUICK.model_copy(update={"variant": "qlora"})
    result = align(checkpoint("llama"), rows, settings, tmp_path / "adapter", 0)
    assert result.loss_last < result.loss_first


@pytest.mark.parametrize("variant", ["lora", "dora"])
@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_rank_follows_the_trained_share(
    checkpoint: Maker,
    rows: list[SoftRow],
    tmp_path: Path,
    variant: str,
    name: str,
) -> None:
    """The share holds for the rank chosen and not for the next one."""
    settings = QUICK.model_copy(
        update={"variant": variant, "trainable_fraction": 0.25, "epochs": 0.1}
    )
    base = checkpoint(name)
    found = align(base, rows, settings, tmp_path / "adapter", 0)
    with without_library_warnings():
        assert found.rank == chosen_rank(base, settings) > 1
    assert found.trained_share <= 0.25
    more = settings.model_copy(update={"trainable_fraction": None, "rank": found.rank + 1})
    assert align(base, rows, more, tmp_path / "more", 0).trained_share > 0.25


def test_only_named_layers_are_adapted(
    checkpoint: Maker, rows: list[SoftRow], tmp_path: Path
) -> None:
    settings = QUICK.model_copy(update={"targets": ("q_proj",), "epochs": 0.1})
    whole = QUICK.model_copy(update={"epochs": 0.1})
    base = checkpoint("llama")
    few = align(base, rows, settings, tmp_path / "few", 0).parameters
    assert 0 < few < align(base, rows, whole, tmp_path / "all", 0).parameters
    unknown = settings.model_copy(update={"targets": ("nowhere",)})
    with pytest.raises(ConfigError, match="nowhere"):
        align(base, rows, unknown, tmp_path / "none", 0)
    tiny = settings.model_copy(update={"trainable_fraction": 1e-6})
    with pytest.raises(ConfigError, match="rank 1"):
        align(base, rows, tiny, tmp_path / "none", 0)


@pytest.mark.parametrize(
    "change", [{"gradient_checkpointing": True}, {"micro_batch": 5}, {"micro_batch": 4}]
)
def test_saving_memory_changes_nothing(
    checkpoint: Maker,
    texts: tuple[str, ...],
    rows: list[SoftRow],
    tmp_path: Path,
    change: dict[str, object],
) -> None:
    base = checkpoint("llama")
    plain = align(base, rows, QUICK, tmp_path / "plain", 0)
    saving = QUICK.model_copy(update=change)
    again = align(base, rows, saving, tmp_path / "again", 0)
    assert again.loss_last == pytest.approx(plain.loss_last, abs=1e-3)
    one, other = (_shares(open_aligned(base, r.adapter), texts) for r in (plain, again))
    np.testing.assert_allclose(one, other, atol=5e-3)


def test_bf16_trains_on_this_device_too(
    checkpoint: Maker, rows: list[SoftRow], tmp_path: Path
) -> None:
    settings = QUICK.model_copy(update={"precision": "bf16"})
    result = align(checkpoint("llama"), rows, settings, tmp_path / "adapter", 0)
    assert result.loss_last < result.loss_first


def test_nothing_in_a_training_forward_is_left_to_chance() -> None:
    shape = {"num_hidden_layers": 2, "hidden_size": 32, "num_attention_heads": 4, "vocab_size": 64}
    opt = OPTConfig(
        **shape, ffn_dim=64, word_embed_proj_dim=32, dropout=0.5, attention_dropout=0.5,
        layerdrop=0.9,
    )  # fmt: skip
    routed = MixtralConfig(
        **shape, intermediate_size=64, num_key_value_heads=2, num_local_experts=4,
        router_jitter_noise=0.5, attention_dropout=0.5,
    )  # fmt: skip
    falcon = FalconConfig(**shape, hidden_dropout=0.5, attention_dropout=0.5)
    ids = torch.arange(2, 34)[None]
    for config in (opt, routed, falcon):
        model = without_dropout(AutoModelForCausalLM.from_config(config)).train()
        first, second = (model(input_ids=ids, use_cache=False).logits for _ in range(2))
        torch.testing.assert_close(first, second, rtol=0, atol=0)


def _foreign_adapter(base: Path, folder: Path, **changes: object) -> Path:
    """An adapter that another tool made, with layers that plenary does not train."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = get_peft_model(model, LoraConfig(r=2, task_type="CAUSAL_LM", **changes))
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                parameter.data += 0.3 * torch.randn_like(parameter)
        wrapped.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("target", ["embed_tokens", "lm_head", "model.embed_tokens"])
def test_layers_that_share_their_weights_are_not_adapted(
    checkpoint: Maker, rows: list[SoftRow], tmp_path: Path, target: str
) -> None:
    settings = QUICK.model_copy(update={"targets": (target, "q_proj")})
    with pytest.raises(ConfigError, match=r"shares its weights with .*tied embeddings"):
        align(checkpoint("qwen2"), rows, settings, tmp_path / "adapter", 0)
    assert list(tmp_path.iterdir()) == []


def test_embeddings_of_their_own_are_adapted_and_the_output_layer_is_not(
    checkpoint: Maker, texts: tuple[str, ...], rows: list[SoftRow], tmp_path: Path
) -> None:
    base = checkpoint("llama")
    settings = QUICK.model_copy(update={"targets": ("embed_tokens",)})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*save_embedding_layers", UserWarning)
        made = align(base, rows, settings, tmp_path / "adapter", 0)
    apart = LocalBackend(base).with_adapter(made.adapter)
    merged = open_aligned(base, made.adapter)
    np.testing.assert_allclose(_shares(merged, texts), _shares(apart, texts), atol=1e-5)
    assert np.abs(_shares(merged, texts) - _shares(LocalBackend(base), texts)).max() > 0.01
    output = QUICK.model_copy(update={"targets": ("lm_head",)})
    with pytest.raises(ConfigError, match="output layer 'lm_head'"):
        align(base, rows, output, tmp_path / "none", 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"target_modules": ["embed_tokens"]},
        {"target_modules": ["lm_head"]},
        {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]},
        {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
        {"target_modules": ["q_proj"], "trainable_token_indices": [5, 6]},
    ],
)
def test_an_adapter_is_measured_as_it_was_trained_or_refused(
    checkpoint: Maker, texts: tuple[str, ...], tmp_path: Path, changes: dict[str, object]
) -> None:
    """Whatever another tool adapted on tied embeddings: merged it is the same model, or none."""
    base = checkpoint("qwen2")
    adapter = _foreign_adapter(base, tmp_path / "adapter", **changes)
    apart = _shares(LocalBackend(base).with_adapter(adapter), texts)
    try:
        merged = _shares(LocalBackend(base, adapter=adapter), texts)
    except BackendError as error:
        assert "another model" in str(error)  # noqa: PT017
        return
    np.testing.assert_allclose(merged, apart, atol=1e-4)


@pytest.mark.parametrize("target", ["embed_tokens", "lm_head"])
def test_an_adapter_of_tied_embeddings_is_refused_where_it_would_be_merged(
    checkpoint: Maker, tmp_path: Path, target: str
) -> None:
    base = checkpoint("qwen2")
    adapter = _foreign_adapter(base, tmp_path / "adapter", target_modules=[target])
    with pytest.raises(BackendError, match="another model"):
        LocalBackend(base, adapter=adapter)


def test_a_small_update_is_not_rounded_away_with_the_weights(
    checkpoint: Maker, texts: tuple[str, ...], rows: list[SoftRow], tmp_path: Path
) -> None:
    """Merged into bfloat16 weights it would be; the layers stay apart."""
    base = checkpoint("llama")
    settings = QUICK.model_copy(update={"learning_rate": 1e-4, "epochs": 2})
    made = align(base, rows, settings, tmp_path / "adapter", 0)
    coarse = LocalSettings(dtype="bfloat16")
    apart = LocalBackend(base, settings=coarse).with_adapter(made.adapter)
    opened = LocalBackend(base, adapter=made.adapter, settings=coarse)
    np.testing.assert_array_equal(_shares(opened, texts), _shares(apart, texts))
