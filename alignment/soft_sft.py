"""Door to trl and peft: a supervised trainer whose targets are choice distributions.

The loss of a batch is the weighted mean of -(p log P(A) + (1 - p) log P(B)) at the
answer position, P over the full vocabulary so that the labels' total mass is held up as well, plus
`replay_weight` times KL(adapter off || adapter on) on replay text.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel
from torch import Tensor, nn
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from alignment.encoding import AnswerRow, ReplayRow
from alignment.settings import AlignmentSettings
from plenary.seeding import derived_seed, generator


class TrainingStep(NamedTuple):
    """What one optimizer step measured, before the step was taken.

    step of steps, counted from 1; loss: answer cross-entropy, nats, lower is better;
    replay_kl: KL(base || model) on replay text, nats a position, 0 without replay;
    mass: mean probability of the two labels together, 1 is best.
    """

    step: int
    steps: int
    loss: float
    replay_kl: float
    mass: float


OnStep = Callable[[TrainingStep], None]


class Padded(NamedTuple):
    """Left-padded [B, T]: token ids, 1 for a real token, position counted from the first one."""

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor


class AnswerLoss(NamedTuple):
    """Weighted mean cross-entropy (nats) and mean label mass of a batch, both scalars."""

    loss: Tensor
    mass: Tensor


def pad_left(sequences: Sequence[Sequence[int]]) -> Padded:
    """Right-align token sequences. Padding is masked out, so its token id (0) has no effect."""
    length = max(map(len, sequences))
    ids = torch.zeros(len(sequences), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(sequences):
        ids[row, length - len(sequence) :] = torch.as_tensor(sequence)
        mask[row, length - len(sequence) :] = 1
    return Padded(ids, mask, (mask.cumsum(1) - 1).clamp(min=0))


def collate(rows: Sequence[AnswerRow]) -> dict[str, Tensor]:
    """Batch of B rows: `Padded` fields [B, T], labels [B, 2], target_p [B], weight [B]."""
    return {
        **pad_left([row["input_ids"] for row in rows])._asdict(),
        "label_ids": torch.tensor([row["label_ids"] for row in rows]),
        "target_p": torch.tensor([row["target_p"] for row in rows], dtype=torch.float32),
        "weight": torch.tensor([row["weight"] for row in rows], dtype=torch.float32),
    }


def answer_loss(logits: Tensor, label_ids: Tensor, target_p: Tensor, weight: Tensor) -> AnswerLoss:
    """Cross-entropy of target_p [B] with logits [B, V] at label_ids [B, 2], weighted by weight [B].

    Weights have mean 1 over the data. Dividing by B and not by the batch's own weight keeps the
    step an unbiased estimate of the weighted mean over all rows, whatever the batch is made of.
    """
    log_p = logits.float().log_softmax(-1).gather(1, label_ids)
    rows = -(target_p * log_p[:, 0] + (1 - target_p) * log_p[:, 1])
    return AnswerLoss((weight * rows).mean(), log_p.detach().exp().sum(1).mean())


def retention_kl(reference: Tensor, logits: Tensor) -> Tensor:
    """Mean KL(reference || model), nats, over positions [M, V]; 0 is a model that has not moved."""
    before, after = reference.float().log_softmax(-1), logits.float().log_softmax(-1)
    return nn.functional.kl_div(after, before, reduction="none", log_target=True).sum(-1).mean()


@dataclass(frozen=True, slots=True)
class Replay:
    """Text on which the model is kept where it was; `count` rows are drawn for each step."""

    rows: Sequence[ReplayRow]
    weight: float
    count: int
    seed: int

    def draw(self, step: int) -> list[ReplayRow]:
        """The rows of a step, the same whenever the step is taken."""
        rng = generator(self.seed, "alignment", "replay", step)
        picked = rng.choice(len(self.rows), size=min(self.count, len(self.rows)), replace=False)
        return [self.rows[k] for k in picked]


@contextmanager
def without_library_warnings() -> Iterator[None]:
    """Silence what trl and peft draw from transformers by names that it has deprecated."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`(is_)?gradient_checkpointing", FutureWarning)
        warnings.filterwarnings("ignore", "fan_in_fan_out", UserWarning)
        yield


class SoftSFTTrainer(SFTTrainer):
    """`SFTTrainer` on pre-tokenised rows with soft targets at one answer position."""

    loss_is_scaled_for_ga = False

    def __init__(
        self,
        *,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: Sequence[AnswerRow],
        replay: Replay | None,
        args: SFTConfig,
        peft_config: LoraConfig,
    ) -> None:
        super().__init__(
            model=model,
            args=args,
            data_collator=collate,
            train_dataset=Dataset.from_list([dict(row) for row in rows]),
            processing_class=tokenizer,
            peft_config=peft_config,
        )
        self.replay = replay
        self.measured: tuple[float, float, float] = (0.0, 0.0, 0.0)
        self.remove_callback(PrinterCallback)

    def _send_telemetry(self) -> None:
        """TRL would report the run to a server; plenary never does."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Answer loss plus weighted replay KL (see the module)."""
        padded = {name: inputs[name] for name in Padded._fields}
        outputs = model(**padded, logits_to_keep=1, use_cache=False)
        asked = (inputs["label_ids"], inputs["target_p"], inputs["weight"])
        answer = answer_loss(outputs.logits[:, -1], *asked)
        loss, kl = answer.loss, torch.zeros(())
        if self.replay is not None:
            kl = self._replay_kl(model, self.replay.draw(self.state.global_step))
            loss = loss + self.replay.weight * kl
        self.measured = (answer.loss.item(), kl.item(), answer.mass.item())
        return (loss, outputs) if return_outputs else loss

    def _replay_kl(self, model: nn.Module, rows: Sequence[ReplayRow]) -> Tensor:
        keep = max(row.scored for row in rows)
        scored = torch.arange(keep) >= keep - torch.tensor([row.scored for row in rows])[:, None]
        padded = pad_left([row.input_ids for row in rows])
        inputs = {k: v.to(self.accelerator.device) for k, v in padded._asdict().items()}
        inputs |= {"logits_to_keep": keep, "use_cache": False}
        with torch.no_grad(), self.accelerator.unwrap_model(model).disable_adapter():
            reference = model(**inputs).logits[scored]
        return retention_kl(reference, model(**inputs).logits[scored])


class _Progress(TrainerCallback):
    """Hands each step's measurements on."""

    def __init__(self, trainer: SoftSFTTrainer, on_step: OnStep) -> None:
        self.trainer, self.report = trainer, on_step

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """See TrainerCallback."""
        self.report(TrainingStep(state.global_step, state.max_steps, *self.trainer.measured))


def without_dropout(model: PreTrainedModel) -> PreTrainedModel:
    """The model with every dropout off, so that adapter on and off differ by the adapter alone."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "attention_dropout", None), float):
            setattr(module, "attention_dropout", 0.0)  # noqa: B010
    return model


def training_arguments(
    settings: AlignmentSettings, rows: int, folder: Path, seed: int
) -> SFTConfig:
    """TRL's arguments: float32 on a CPU, bf16 autocast on a GPU; nothing saved or reported."""
    steps = settings.epochs * -(-rows // settings.batch)
    cuda = torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=settings.batch,
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(settings.warmup * steps),
        weight_decay=0.0,
        seed=derived_seed(seed, "alignment"),
        data_seed=derived_seed(seed, "alignment", "rows"),
        use_cpu=not cuda,
        bf16=cuda and torch.cuda.is_bf16_supported(),
        gradient_checkpointing=False,
        dataloader_pin_memory=cuda,
        max_length=None,
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )


def lora(settings: AlignmentSettings) -> LoraConfig:
    """LoRA on all linear layers but the output layer; no bias, so that adapter off is the base."""
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        bias="none",
        task_type="CAUSAL_LM",
    )


def run_training(trainer: SoftSFTTrainer, on_step: OnStep) -> PeftModel:
    """Train to the end, handing every step to `on_step`, and give the adapted model."""
    trainer.add_callback(_Progress(trainer, on_step))
    trainer.train()
    return trainer.accelerator.unwrap_model(trainer.model)
