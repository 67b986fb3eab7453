"""The trainer (trl): one soft-label trainer for every objective, with loss on label tokens only.

The loss of a step is the mean over its rows of weight times the objective's loss at the label
tokens, plus `replay_weight` times KL(adapter off || adapter on) on replay text and `rest_weight`
times the same where the answer starts, leaving out the preference. A step is computed in parts,
whose losses add up to the step's. Logits are computed only where they are read.
"""

from __future__ import annotations

import copy
import shutil
import sys
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from operator import itemgetter
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import torch
from accelerate import PartialState
from datasets import Dataset
from peft import LoraConfig, PeftModel
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_callback import EarlyStoppingCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from alignment.training.batches import (
    Padded,
    Portions,
    ReplayRow,
    batch_plan,
    collate,
    encode_answers,
    label_log_probs,
    logits_needed,
    pad_left,
    rest_kl,
    retention_kl,
    spread,
    steps_of,
)
from alignment.training.objectives import OBJECTIVES, Objective
from alignment.training.settings import AlignmentSettings
from plenary.errors import ConfigError
from plenary.models.local.chat_template import ChatRenderer
from plenary.models.local.checkpoints import load_tokenizer
from plenary.preferences import FloatArray
from plenary.seeding import derived_seed, generator
from plenary.training_rows import checked_rows, pair_places, with_target

VALIDATION_BATCH = 64
WITHOUT_REPLAY = AlignmentSettings(replay_weight=0.0)


class TrainingStep(NamedTuple):
    """What one optimizer step measured, before the step was taken.

    step of steps, counted from 1; loss: the objective's, nats, lower is better;
    replay_kl: KL(base || model) on replay text, nats per position, 0 without replay;
    mass: mean probability of the two labels together, 1 is best.
    """

    step: int
    steps: int
    loss: float
    replay_kl: float
    mass: float


OnStep = Callable[[TrainingStep], None]


@dataclass(frozen=True, slots=True)
class Replay:
    """Text on which the model is held to its base; `count` rows are drawn for each step."""

    rows: Sequence[ReplayRow]
    weight: float
    count: int
    seed: int

    def draw(self, step: int) -> list[ReplayRow]:
        """The rows of a step, always the same for the same step."""
        rng = generator(self.seed, "alignment", "replay", step)
        picked = rng.choice(len(self.rows), size=min(self.count, len(self.rows)), replace=False)
        return [self.rows[k] for k in picked]


def longest_input(model: PreTrainedModel | PeftModel) -> int:
    """Most tokens that a model holds."""
    config = cast("PreTrainedModel", model).config.get_text_config()
    return getattr(config, "max_position_embeddings", None) or sys.maxsize


@contextmanager
def without_library_warnings() -> Iterator[None]:
    """Silence warnings about deprecated names of transformers that trl and peft use."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`(is_)?gradient_checkpointing", FutureWarning)
        warnings.filterwarnings("ignore", "fan_in_fan_out", UserWarning)
        yield


class OpenModel(Protocol):
    """A model in memory with its tokenizer, such as `plenary.load_model` gives."""

    @property
    def weights(self) -> PreTrainedModel | None:
        """The transformers model; None for one that is elsewhere."""
        ...

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        """Its tokenizer."""
        ...


def lora_config(settings: AlignmentSettings, rank: int) -> LoraConfig:
    """PEFT's configuration. No bias and no dropout, so that adapter off is the base."""
    whole = settings.targets == ("all-linear",)
    return LoraConfig(
        r=rank,
        lora_alpha=settings.alpha,
        lora_dropout=0.0,
        use_rslora=settings.variant == "rslora",
        use_dora=settings.variant == "dora",
        target_modules="all-linear" if whole else list(settings.targets),
        bias="none",
        task_type="CAUSAL_LM",
    )


def settings_of(args: SFTConfig) -> AlignmentSettings:
    """What TRL's arguments say of the size of a step and the number of epochs; no replay."""
    rows = args.per_device_train_batch_size
    return AlignmentSettings(
        learning_rate=args.learning_rate,
        batch=rows * args.gradient_accumulation_steps * PartialState().num_processes,
        micro_batch=rows,
        epochs=args.num_train_epochs,
        replay_weight=0.0,
    )


def arguments_under(args: SFTConfig, settings: AlignmentSettings) -> SFTConfig:
    """TRL's arguments for rows that are already encoded and shared out over the steps."""
    plan, own = batch_plan(settings), copy.copy(args)
    own.per_device_train_batch_size = plan.rows
    own.gradient_accumulation_steps = plan.accumulated
    own.num_train_epochs = 1  # `Portions` holds the steps of all epochs.
    own.max_length = None
    own.remove_unused_columns = False
    own.dataset_kwargs = {"skip_prepare_dataset": True}
    return own


class SoftLabelTrainer(SFTTrainer):
    """TRL's `SFTTrainer` on rows with soft labels: the loss is read at the label tokens.

    model: a transformers or PEFT model, or what `plenary.load_model` gave. args: TRL's; without
    them `settings` decide and nothing is written. train_dataset: any dataset with the columns
    prompt (messages), labels, target_p and weight (`plenary.training_rows.SoftRow`), such as
    `result.to_dataset()["train"]`; targets are used unchanged, weights scaled to mean 1.
    eval_dataset: rows that decide when to stop, where settings.patience is set. peft_config: by
    default LoRA on all linear layers, so that the bare weights stay what they were. settings:
    objective, step and patience; by default `args` decide, and no text is replayed. objective: a
    loss of one's own instead of that of the settings. replay: text on which the model is held to
    its base. day: the date given to a chat template that prints one. The other arguments are TRL's.

    >>> trainer = SoftLabelTrainer(model, train_dataset=rows)  # doctest: +SKIP
    >>> trainer.train()  # doctest: +SKIP
    """

    # The parts of a step add up to its loss, so nothing may be divided by their number.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: PreTrainedModel | PeftModel | OpenModel,
        args: SFTConfig | None = None,
        train_dataset: Iterable[Mapping[str, object]] = (),
        eval_dataset: Iterable[Mapping[str, object]] = (),
        *,
        processing_class: PreTrainedTokenizerBase | None = None,
        peft_config: LoraConfig | None = None,
        callbacks: Sequence[TrainerCallback] = (),
        settings: AlignmentSettings | None = None,
        objective: Objective | None = None,
        replay: Replay | None = None,
        day: date | None = None,
        **trl: Any,
    ) -> None:
        weights, tokenizer = _opened(model, processing_class)
        rows, judged = checked_rows(train_dataset), list(eval_dataset)
        judged = checked_rows(judged) if judged else []
        if settings is None:
            settings = WITHOUT_REPLAY if args is None else settings_of(args)
        if args is None:
            unused = Path(mkdtemp())
            weakref.finalize(self, shutil.rmtree, unused, ignore_errors=True)
            with without_library_warnings():
                args = training_arguments(settings, len(rows), unused, 0)
        if peft_config is None and not isinstance(weights, PeftModel):
            peft_config = lora_config(settings, settings.rank)
        renderer, longest = ChatRenderer(tokenizer, day), longest_input(weights)
        mean = float(np.mean([row["weight"] for row in rows]))
        rows = [with_target(row, row["target_p"], row["weight"] / mean) for row in rows]
        self.answers = encode_answers(renderer, rows, longest)
        self.validation = encode_answers(renderer, judged, longest)
        self.judged = judged
        validated = Dataset.from_list(list(map(dict, self.validation))) if judged else None
        with without_library_warnings():
            super().__init__(
                model=cast("PreTrainedModel", weights),
                args=arguments_under(args, settings),
                data_collator=collate,
                train_dataset=Dataset.from_list([dict(row) for row in self.answers]),
                eval_dataset=validated,
                processing_class=tokenizer,
                peft_config=peft_config,
                callbacks=list(callbacks),
                **trl,
            )
        self.replay, self.settings = replay, settings
        self.objective = objective or OBJECTIVES[settings.objective]
        self.measured: list[tuple[float, float, float]] = []
        self.remove_callback(PrinterCallback)
        if judged and settings.patience:
            self.add_callback(EarlyStoppingCallback(settings.patience))

    def _send_telemetry(self) -> None:
        """TRL would report the run to a server; plenary never does."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """Answer loss plus weighted divergences from the base (see the module)."""
        logits = self._logits(model, inputs)
        log_p = base = label_log_probs(logits, inputs)
        rest = torch.zeros((), device=logits.device)
        if self.objective.against_base or self.settings.rest_weight:
            with torch.no_grad(), self._bare(model).disable_adapter():
                reference = self._logits(model, inputs)
            base = label_log_probs(reference, inputs)
            rest = rest_kl(reference, logits, inputs) if self.settings.rest_weight else rest
        rows = self.objective.loss(log_p, base, inputs["target_p"], self.settings.beta)
        # Weights have mean 1 over the data. Dividing by the number of rows and not by their weights
        # keeps every step an unbiased estimate.
        answer = inputs["share"] @ (inputs["weight"] * rows)
        kl = torch.zeros((), device=logits.device)
        if self.replay is not None:
            kl = self._replay_kl(model, self.replay, *inputs.get("part", (0, 1)))
        mass = inputs["share"] @ log_p.detach().exp().sum(1)
        self.measured.append((answer.item(), kl.item(), mass.item()))
        loss = answer + self.settings.rest_weight * rest
        loss = loss if self.replay is None else loss + self.replay.weight * kl
        # Gradients are averaged over processes, but the step's is their sum.
        loss = loss * self.accelerator.num_processes
        return (loss, {"log_p": log_p}) if return_outputs else loss

    def get_train_dataloader(self) -> DataLoader:
        """This process's parts of all steps in order; transformers would equalise their sizes."""
        portions = Portions(self.answers, self.settings, self.args.data_seed or 0)
        return DataLoader(portions, batch_size=1, collate_fn=itemgetter(0))

    @staticmethod
    def _logits(model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        """Logits [N, W, V] at the last positions that are read."""
        padded = {name: inputs[name] for name in Padded._fields}
        return model(**padded, logits_to_keep=logits_needed(inputs), use_cache=False).logits

    def _bare(self, model: nn.Module) -> PeftModel:
        """The model as PEFT sees it, whose adapter can be switched off."""
        return cast("PeftModel", self.accelerator.unwrap_model(model))

    def _replay_kl(self, model: nn.Module, replay: Replay, part: int, parts: int) -> Tensor:
        """What one part adds to the step's mean over all its scored positions."""
        of_step = replay.draw(self.state.global_step)
        processes = self.accelerator.num_processes
        spreading = spread(of_step, parts)
        start = part // processes * processes
        if not any(spreading[start : start + processes]):
            return torch.zeros((), device=self.accelerator.device)
        # If other processes have rows, one without any computes as well: all must take part.
        rows = spreading[part] or of_step[:1]
        share = sum(row.scored for row in spreading[part]) / sum(row.scored for row in of_step)
        keep = max(row.scored for row in rows)
        scored = torch.arange(keep) >= keep - torch.tensor([row.scored for row in rows])[:, None]
        padded = pad_left([row.input_ids for row in rows])
        inputs = {k: v.to(self.accelerator.device) for k, v in padded._asdict().items()}
        inputs |= {"logits_to_keep": keep, "use_cache": False}
        with torch.no_grad(), self._bare(model).disable_adapter():
            reference = model(**inputs).logits[scored]
        return share * retention_kl(reference, model(**inputs).logits[scored])

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval"):
        """Share of validation pairs answered on the assembly's side, over orders and templates."""
        metrics = {f"{metric_key_prefix}_agreement": self._agreement()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def _agreement(self) -> float:
        rows, answered = self.validation, list[Tensor]()
        model = cast("nn.Module", self.model_wrapped).eval()
        for start in range(0, len(rows), VALIDATION_BATCH):
            batch = collate(rows[start : start + VALIDATION_BATCH])
            batch = {k: v.to(self.accelerator.device) for k, v in batch.items()}
            with torch.no_grad():
                log_p = label_log_probs(self._logits(model, batch), batch)
            answered.append(log_p.softmax(1)[:, 0].cpu())
        said = torch.cat(answered).double().numpy()
        wanted = np.array([row["target_p"] for row in self.judged])
        sides = [self._of_pairs(p) > 0.5 for p in (said, wanted)]
        return float(np.mean(sides[0] == sides[1]))

    def _of_pairs(self, p: FloatArray) -> FloatArray:
        """Mean over a pair's rows of the probability of its own first outcome, from p [N]."""
        places, swapped = pair_places(self.judged), [bool(r.get("swapped")) for r in self.judged]
        first = np.where(swapped, 1 - p, p)
        return np.bincount(places, first) / np.bincount(places)

    def log(self, logs, start_time=None):
        """TRL's log, with the last step's answer loss, replay KL and label mass."""
        if self.measured and cast("nn.Module", self.model).training:
            names = ("answer_loss", "replay_kl", "label_mass")
            logs |= dict(zip(names, self.measured[-1], strict=True))
        super().log(logs, start_time)


class _Progress(TrainerCallback):
    """Passes on each step's measurements, summed over its parts in all processes."""

    def __init__(self, trainer: SoftLabelTrainer, on_step: OnStep) -> None:
        self.trainer, self.report = trainer, on_step

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """See TrainerCallback."""
        parts = torch.tensor(self.trainer.measured, dtype=torch.float64).sum(0)
        device = self.trainer.accelerator.device
        whole = self.trainer.accelerator.reduce(parts.to(device), "sum")
        loss, kl, mass = cast("Tensor", whole).tolist()
        self.trainer.measured = [(loss, kl, mass)]
        self.report(TrainingStep(state.global_step, state.max_steps, loss, kl, mass))

    def on_step_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: object,
    ) -> None:
        """See TrainerCallback."""
        self.trainer.measured = []


def in_bf16(settings: AlignmentSettings) -> bool:
    """Whether the base is loaded and computed in bfloat16."""
    if settings.precision == "auto":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return settings.precision == "bf16"


def training_arguments(
    settings: AlignmentSettings, rows: int, folder: Path, seed: int
) -> SFTConfig:
    """TRL's arguments. `folder` gets checkpoints and logs if the settings ask for them."""
    if settings.report_to == "tensorboard" and find_spec("tensorboard") is None:
        raise ConfigError(
            "report_to is 'tensorboard', which is not installed; pip install tensorboard, or set "
            "alignment.report_to to 'none'"
        )
    plan = batch_plan(settings)
    every = settings.checkpoint_every
    return SFTConfig(
        output_dir=str(folder),
        per_device_train_batch_size=plan.rows,
        gradient_accumulation_steps=plan.accumulated,
        # `Portions` holds the steps of all epochs.
        num_train_epochs=1,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(settings.warmup * steps_of(settings, rows)),
        weight_decay=0.0,
        seed=derived_seed(seed, "alignment"),
        data_seed=derived_seed(seed, "alignment", "rows"),
        use_cpu=not torch.cuda.is_available(),
        bf16=in_bf16(settings),
        gradient_checkpointing=settings.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        dataloader_pin_memory=torch.cuda.is_available(),
        max_length=None,
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        save_strategy="steps" if every else "no",
        save_steps=every or 1,
        save_total_limit=2,
        eval_strategy="steps" if settings.patience else "no",
        eval_steps=every or 1,
        load_best_model_at_end=bool(settings.patience),
        metric_for_best_model="eval_agreement",
        greater_is_better=True,
        logging_strategy="no" if settings.report_to == "none" else "steps",
        logging_steps=1,
        report_to=settings.report_to,
        disable_tqdm=True,
    )


def _opened(
    model: PreTrainedModel | PeftModel | OpenModel, tokenizer: PreTrainedTokenizerBase | None
) -> tuple[PreTrainedModel | PeftModel, PreTrainedTokenizerBase]:
    """Weights that can be trained, and their tokenizer."""
    if isinstance(model, PreTrainedModel | PeftModel):
        place = str(getattr(model, "name_or_path", "") or "")
        return model, tokenizer or load_tokenizer(place)
    weights, own = model.weights, tokenizer or model.tokenizer
    if weights is None or own is None:
        raise ConfigError(
            f"{model!r} has no weights in this process to train; give a checkpoint's folder or a "
            "hub's id to load_model, or a transformers model"
        )
    return weights, own


def run_training(
    trainer: SoftLabelTrainer, on_step: OnStep, checkpoint: Path | None = None
) -> PeftModel:
    """Train to the end, from a checkpoint if given, and return the adapted model."""
    trainer.add_callback(_Progress(trainer, on_step))
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    return cast("PeftModel", trainer.accelerator.unwrap_model(trainer.model))
