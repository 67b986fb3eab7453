"""Which objective matches an assembly's distribution, and what does its loss cost?

A planted assembly: outcomes of the embedded model's grammar, and the share of each pair that the
average citizen's planted weights imply. Each objective trains the embedded model on the same pairs;
the rest is read on pairs of outcomes that were never trained on. KL is from the assembly's choice
to the model's, in nats; calibration error is the mean over ten equal bins of |share - answer|,
weighted by their pairs. All have the same rows, steps and learning rate, tuned for none. Intervals
are 95 % by Student's t over paired differences of seeds. A run takes 40 to 47 steps, as the
quickstart does; after 13 steps soft_sft and sft could not be told apart.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from datasets import Dataset
from scipy.stats import t as student
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from alignment.encoding import AnswerRow, encode_answers
from alignment.examples import Example, examples, training_frames
from alignment.lora import load_base, lora_config
from alignment.settings import AlignmentSettings
from alignment.train import align, open_aligned
from alignment.trainer import AnswerTrainer, TrainingRows, training_arguments
from benchmarks.targets import Target, main
from evaluation.frames import FRAMES, LABELS, question
from plenary.chat.local import LocalBackend, load_tokenizer
from plenary.chat.rendering import ChatRenderer
from plenary.embedded import model_path
from plenary.embedded.grammar import draw_sentence
from plenary.embedded.values import CITIZEN_WEIGHTS, choice_probability
from plenary.preferences import FloatArray, IntArray, Targets
from plenary.seeding import generator

COMPARED = ("soft_sft", "sft", "dpo")
VOTES = 60.0
BINS = 10


class World(NamedTuple):
    """Outcomes' texts [K], training targets, and held-out pairs [P, 2] with their shares [P]."""

    texts: list[str]
    train: Targets
    pairs: IntArray
    p: FloatArray


class Match(NamedTuple):
    """How near a model is to the assembly on held-out pairs: KL, calibration error, agreement."""

    kl: float
    calibration: float
    agreement: float


def world(seed: int, pairs: int, held_out: int) -> World:
    """A planted assembly; shares are those of VOTES citizens, held-out ones without vote noise."""
    rng = generator(seed, "objectives")
    drawn = [draw_sentence(rng, held_out=True) for _ in range(120)]
    utility = np.array([CITIZEN_WEIGHTS @ sentence.attributes for sentence in drawn])
    trained, kept = _pairs(rng, 0, 70, pairs), _pairs(rng, 70, 120, held_out)
    share = choice_probability(utility[trained[:, 0]] - utility[trained[:, 1]])
    voted = rng.binomial(int(VOTES), share) / VOTES
    truth = choice_probability(utility[kept[:, 0]] - utility[kept[:, 1]])
    targets = Targets(trained, voted, np.full(pairs, VOTES))
    return World([sentence.text for sentence in drawn], targets, kept, truth)


def _pairs(rng: np.random.Generator, low: int, high: int, count: int) -> IntArray:
    every = np.array([(a, b) for a in range(low, high) for b in range(low, a)])
    return rng.permuted(rng.choice(every, size=count, replace=False), axis=1)


def answers(backend: LocalBackend, found: World) -> FloatArray:
    """P(first) [P] of the held-out pairs, mean of both orders."""
    plain, texts = FRAMES["plain"], found.texts
    asked = [question(plain, texts[a], texts[b]) for a, b in found.pairs]
    asked += [question(plain, texts[b], texts[a]) for a, b in found.pairs]
    first = np.array([c.shares[0] for c in asyncio.run(backend.choose(asked, LABELS))])
    return (first[: len(found.pairs)] + 1 - first[len(found.pairs) :]) / 2


def match(q: FloatArray, p: FloatArray) -> Match:
    """Answers q [P] against the assembly's shares p [P]."""
    shown, wanted = np.concatenate([q, 1 - q]), np.concatenate([p, 1 - p])
    kl = 2 * np.mean(wanted * (np.log(wanted.clip(1e-12)) - np.log(shown.clip(1e-12))))
    bins = np.minimum((shown * BINS).astype(int), BINS - 1)
    gaps = [abs((shown - wanted)[bins == k].sum()) for k in range(BINS)]
    agreement = float(np.mean((q > 0.5) == (p > 0.5)))
    return Match(float(kl), float(sum(gaps) / len(shown)), agreement)


def matches(
    seeds: int, pairs: int, held_out: int, epochs: float, batch: int
) -> dict[str, list[Match]]:
    """One match a seed for the base and for each objective."""
    found: dict[str, list[Match]] = {name: [] for name in ("base", *COMPARED)}
    for seed in range(seeds):
        planted = world(seed, pairs, held_out)
        found["base"].append(match(answers(LocalBackend(model_path()), planted), planted.p))
        for name in COMPARED:
            settings = AlignmentSettings(
                objective=name,  # type: ignore[arg-type]
                epochs=epochs,
                batch=batch,
                replay_weight=0,
            )
            with tempfile.TemporaryDirectory() as folder:
                output = Path(folder) / "adapter"
                align(model_path(), planted.texts, planted.train, settings, output, seed)
                backend = open_aligned(model_path(), output)
                found[name].append(match(answers(backend, planted), planted.p))
    return found


def differences(found: dict[str, list[Match]]) -> Iterator[Target]:
    """Means, and how much higher KL and calibration error are under the other objectives."""
    for name, runs in found.items():
        for field, values in zip(Match._fields, np.array(runs).T, strict=True):
            print(f"# {name:9s} {field:12s} {values.mean():.4f}", file=sys.stderr)
    for other in COMPARED[1:]:
        for k, field in enumerate(("KL", "calibration error")):
            gap = np.array(
                [a[k] - b[k] for a, b in zip(found[other], found["soft_sft"], strict=True)]
            )
            half = student.ppf(0.975, len(gap) - 1) * gap.std(ddof=1) / np.sqrt(len(gap))
            print(
                f"# {other} minus soft_sft, {field}: {gap.mean():.4f} +- {half:.4f}",
                file=sys.stderr,
            )
            yield Target(f"{field}, {other} minus soft_sft, lower end", gap.mean() - half, 0.0)


def plain_trainer(planted: World, settings: AlignmentSettings, folder: Path) -> SFTTrainer:
    """TRL's own trainer on the same prompts, the majority's letter as completion."""
    rows = examples(planted.texts, planted.train, training_frames(("plain",)))
    letters = ["A" if row.p_first > 0.5 else "B" for row in rows]
    table = {
        "prompt": [[message._asdict() for message in row.messages] for row in rows],
        "completion": [[{"role": "assistant", "content": letter}] for letter in letters],
    }
    given = training_arguments(settings, len(rows), folder, 0).to_dict()
    kept = ("per_device_train_batch_size", "num_train_epochs", "learning_rate", "use_cpu", "bf16",
            "gradient_checkpointing", "dataloader_pin_memory", "max_length", "report_to",
            "save_strategy", "logging_strategy", "disable_tqdm", "output_dir")  # fmt: skip
    return SFTTrainer(
        model=load_base(model_path(), settings, bf16=False),
        args=SFTConfig(**{name: given[name] for name in kept}),
        train_dataset=Dataset.from_dict(table),
        processing_class=load_tokenizer(model_path()),
        peft_config=lora_config(settings, settings.rank),
    )


def _encoded(asked: list[Example]) -> list[AnswerRow]:
    return encode_answers(ChatRenderer(load_tokenizer(model_path())), asked, 4096)


def our_trainer(planted: World, settings: AlignmentSettings, folder: Path) -> AnswerTrainer:
    """Ours on the same prompts, without replay text."""
    rows = _encoded(examples(planted.texts, planted.train, training_frames(("plain",))))
    return AnswerTrainer(
        model=load_base(model_path(), settings, bf16=False),
        tokenizer=load_tokenizer(model_path()),
        rows=TrainingRows(rows, [], None),
        settings=settings,
        args=training_arguments(settings, len(rows), folder, 0),
        peft_config=lora_config(settings, settings.rank),
    )


def cost(kind: str, pairs: int) -> None:
    """Print tokens a second and the growth of peak memory in training, MB, of one trainer."""
    settings = AlignmentSettings(epochs=1, replay_weight=0)
    make = our_trainer if kind == "ours" else plain_trainer
    with tempfile.TemporaryDirectory() as folder:
        planted = world(0, pairs, 10)
        rows = examples(planted.texts, planted.train, training_frames(("plain",)))
        tokens = sum(len(row["input_ids"]) for row in _encoded(rows))
        trainer = make(planted, settings, Path(folder))
        before, started = _resident(), time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps([tokens / seconds, (peak - before) / 1e6]))


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return float(pages * resource.getpagesize())


def costs(pairs: int) -> Iterator[Target]:
    """Ours against TRL's own trainer, each in a process of its own."""
    found = {}
    for kind in ("ours", "trl"):
        command = [sys.executable, __file__, "--cost", kind, str(pairs)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        found[kind] = json.loads(answer.stdout.strip().splitlines()[-1])
        speed, memory = found[kind]
        print(f"# {kind}: {speed:.0f} tokens/s, peak memory +{memory:.0f} MB", file=sys.stderr)
    yield Target(
        "tokens/s, ours / TRL SFT on the same rows", found["ours"][0] / found["trl"][0], 1.0
    )
    yield Target(
        "peak memory growth, ours / TRL SFT", found["ours"][1] / found["trl"][1], 1.0, False
    )


def measure(quick: bool) -> Iterator[Target]:
    """Everything; quick: three seeds, half the pairs."""
    yield from differences(matches(3, 40, 120, 4, 8) if quick else matches(5, 150, 300, 5, 32))
    yield from costs(16 if quick else 150)


if __name__ == "__main__":
    if "--cost" in sys.argv:
        cost(sys.argv[-2], int(sys.argv[-1]))
    else:
        main(__doc__, measure)
