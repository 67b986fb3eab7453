"""Which objective matches an assembly's distribution, and what does its loss cost?

A planted assembly: outcomes of the embedded model's grammar, and the share of each pair that the
average citizen's planted weights imply. Each objective trains the embedded model on the same pairs;
the rest is read on pairs of outcomes that were never trained on. KL is from the assembly's choice
to the model's, in nats; calibration error is the mean over ten equal bins of |share - answer|,
weighted by their pairs.

All objectives take the same rows and as many steps. The learning rate is each objective's own: of
RATES the one with the lowest KL on validation pairs, made of outcomes neither trained on nor
judged. Intervals are 95 %, from a bootstrap over judged outcomes and over assemblies; --quick has
one assembly, so that its interval is over outcomes alone: enough to tell the objectives apart in
KL. Calibration error is printed there, but it is held to its target in the whole run only: on one
assembly its interval against sft held zero (+0.042, -0.022 to +0.131).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
from datasets import Dataset
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from alignment.training.batches import encode_answers
from alignment.training.lora import load_base, lora_config
from alignment.training.settings import AlignmentSettings
from alignment.training.train import align, open_aligned
from alignment.training.trainer import (
    SoftLabelTrainer,
    training_arguments,
    without_library_warnings,
)
from benchmarks.targets import Target, main
from evaluation.comparison.compare import pair_kl
from evaluation.stats.intervals import node_weights
from plenary.embedded import model_path
from plenary.embedded.grammar import draw_sentence
from plenary.embedded.values import CITIZEN_WEIGHTS, choice_probability
from plenary.models.local.chat_template import ChatRenderer
from plenary.models.local.checkpoints import load_tokenizer
from plenary.models.local.huggingface import LocalBackend
from plenary.preferences import FloatArray, IntArray, Targets
from plenary.prompt_templates import LABELS, PROMPT_TEMPLATES, question
from plenary.seeding import generator
from plenary.training_rows import SoftRow, rows_toward, training_templates

COMPARED = ("soft_sft", "sft", "dpo")
RATES = (1e-3, 3e-3)
REPLICATES = 2000
VOTES = 60.0
BINS = 10


class Size(NamedTuple):
    """Assemblies; pairs trained on, validated on and judged in each; passes; rows a step."""

    assemblies: int
    pairs: int
    validation: int
    judged: int
    epochs: float
    batch: int


class Judged(NamedTuple):
    """Pairs [P, 2] and the assembly's shares [P] of their first outcome."""

    pairs: IntArray
    p: FloatArray


class World(NamedTuple):
    """Outcomes' texts [K], training targets, and two sets of pairs of other outcomes."""

    texts: list[str]
    train: Targets
    validation: Judged
    test: Judged


class Scored(NamedTuple):
    """Scores of a model on judged pairs, as many as there are rows of weights; KL in nats."""

    kl: FloatArray
    calibration: FloatArray
    agreement: FloatArray


def world(seed: int, size: Size) -> World:
    """A planted assembly; shares are those of VOTES citizens, the others without vote noise."""
    rng = generator(seed, "objectives")
    drawn = [draw_sentence(rng, held_out=True) for _ in range(130)]
    utility = np.array([CITIZEN_WEIGHTS @ sentence.attributes for sentence in drawn])

    def judged(low: int, high: int, count: int) -> Judged:
        pairs = _pairs(rng, low, high, count)
        return Judged(pairs, choice_probability(utility[pairs[:, 0]] - utility[pairs[:, 1]]))

    trained = judged(0, 60, size.pairs)
    voted = rng.binomial(int(VOTES), trained.p) / VOTES
    return World(
        [sentence.text for sentence in drawn],
        Targets(trained.pairs, voted, np.full(size.pairs, VOTES)),
        judged(60, 85, size.validation),
        judged(85, 130, size.judged),
    )


def _pairs(rng: np.random.Generator, low: int, high: int, count: int) -> IntArray:
    every = np.array([(a, b) for a in range(low, high) for b in range(low, a)])
    return rng.permuted(rng.choice(every, size=count, replace=False), axis=1)


def answers(backend: LocalBackend, texts: list[str], pairs: IntArray) -> FloatArray:
    """P(first) [P] of pairs, mean of both orders."""
    plain = PROMPT_TEMPLATES["plain"]
    asked = [question(plain, texts[a], texts[b]) for a, b in pairs]
    asked += [question(plain, texts[b], texts[a]) for a, b in pairs]
    first = np.array([c.shares[0] for c in asyncio.run(backend.choose(asked, LABELS))])
    return (first[: len(pairs)] + 1 - first[len(pairs) :]) / 2


def scored(q: FloatArray, p: FloatArray, weights: FloatArray) -> Scored:
    """Answers q [P] against the assembly's shares p [P] under weights [B, P] of the pairs."""
    total = weights.sum(axis=1)
    shown, gap = np.concatenate([q, 1 - q]), np.concatenate([q - p, p - q])
    bins = np.minimum((shown * BINS).astype(int), BINS - 1)
    both = np.tile(weights, 2)
    sums = [np.abs(both @ np.where(bins == k, gap, 0.0)) for k in range(BINS)]
    agreed = weights @ ((q > 0.5) == (p > 0.5))
    return Scored(weights @ pair_kl(q, p) / total, sum(sums) / (2 * total), agreed / total)


def trained(
    name: str, rate: float, found: World, size: Size, seed: int
) -> tuple[float, FloatArray]:
    """KL on the validation pairs, and answers on the judged ones, of one objective at one rate."""
    settings = AlignmentSettings(
        objective=name,  # type: ignore[arg-type]
        epochs=size.epochs,
        batch=size.batch,
        learning_rate=rate,
        replay_weight=0,
    )
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "adapter"
        align(model_path(), rows_of(found), settings, output, seed)
        backend = open_aligned(model_path(), output)
        checked = answers(backend, found.texts, found.validation.pairs)
        return float(pair_kl(checked, found.validation.p).mean()), answers(
            backend, found.texts, found.test.pairs
        )


def differences(size: Size) -> Iterator[Target]:
    """How much higher KL and calibration error are under the other objectives."""
    draws = {(name, k): [] for name in COMPARED[1:] for k in range(2)}
    for seed in range(size.assemblies):
        planted = world(seed, size)
        weights = node_weights(planted.test.pairs, REPLICATES, generator(seed, "bootstrap"))
        # The first row are the pairs as they are.
        weights = np.concatenate([np.ones((1, len(planted.test.p))), weights])
        base = answers(LocalBackend(model_path()), planted.texts, planted.test.pairs)
        _tell(seed, "base", 0.0, scored(base, planted.test.p, weights))
        found = {}
        for name in COMPARED:
            tried = {rate: trained(name, rate, planted, size, seed) for rate in RATES}
            rate = min(tried, key=lambda r: tried[r][0])
            found[name] = scored(tried[rate][1], planted.test.p, weights)
            _tell(seed, name, rate, found[name])
        for name, k in draws:
            draws[name, k].append(found[name][k] - found["soft_sft"][k])
    for (name, k), gaps in draws.items():
        low, high = _interval(np.array(gaps))
        field = ("KL", "calibration error")[k]
        value = np.mean([gap[0] for gap in gaps])
        told = f"# {name} minus soft_sft, {field}: {value:.4f} ({low:.4f} to {high:.4f})"
        print(told, file=sys.stderr)
        if k == 0 or size.assemblies > 1:
            yield Target(f"{field}, {name} minus soft_sft, lower end", low, 0.0)


def _tell(seed: int, name: str, rate: float, found: Scored) -> None:
    figures = ", ".join(f"{k} {v[0]:.4f}" for k, v in zip(found._fields, found, strict=True))
    print(f"# assembly {seed}, {name} at rate {rate}: {figures}", file=sys.stderr, flush=True)


def _interval(gaps: FloatArray) -> tuple[float, float]:
    """95 % interval from gaps [S, 1 + B], assemblies drawn with replacement, too."""
    count = len(gaps)
    drawn = generator(0, "assemblies").multinomial(count, [1 / count] * count, size=REPLICATES)
    low, high = np.quantile((drawn.T / count * gaps[:, 1:]).sum(axis=0), (0.025, 0.975))
    return float(low), float(high)


def rows_of(planted: World) -> list[SoftRow]:
    """What both trainers train on."""
    return rows_toward(planted.texts, planted.train, training_templates(("plain",)))


def plain_trainer(planted: World, settings: AlignmentSettings, folder: Path) -> SFTTrainer:
    """TRL's own trainer on the same prompts, the majority's letter as completion."""
    rows = rows_of(planted)
    letters = ["A" if row["target_p"] > 0.5 else "B" for row in rows]
    table = {
        "prompt": [row["prompt"] for row in rows],
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


def our_trainer(planted: World, settings: AlignmentSettings, folder: Path) -> SoftLabelTrainer:
    """Ours on the same prompts, without replay text."""
    rows = rows_of(planted)
    return SoftLabelTrainer(
        load_base(model_path(), settings, bf16=False),
        training_arguments(settings, len(rows), folder, 0),
        rows,
        processing_class=load_tokenizer(model_path()),
        peft_config=lora_config(settings, settings.rank),
        settings=settings,
    )


def cost(kind: str, pairs: int, answer: Connection) -> None:
    """Send tokens a second and the growth of peak memory in training, MB, of one trainer."""
    settings = AlignmentSettings(epochs=1, replay_weight=0)
    make = our_trainer if kind == "ours" else plain_trainer
    with (
        tempfile.TemporaryDirectory() as folder,
        redirect_stdout(sys.stderr),
        without_library_warnings(),
    ):
        planted = world(0, Size(1, pairs, 10, 10, 1, 1))
        renderer = ChatRenderer(load_tokenizer(model_path()))
        encoded = encode_answers(renderer, rows_of(planted), 4096)
        tokens = sum(len(row["input_ids"]) for row in encoded)
        trainer = make(planted, settings, Path(folder))
        before, started = _resident(), time.process_time()
        trainer.train()
        seconds = time.process_time() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    answer.send((tokens / seconds, (peak - before) / 1e6))


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return float(pages * resource.getpagesize())


def costs(pairs: int) -> Iterator[Target]:
    """Ours against TRL's own trainer in CPU time, each in a process of its own."""
    found = {}
    forked = multiprocessing.get_context("fork")  # libraries are imported once
    for kind in ("ours", "trl"):
        here, there = forked.Pipe()
        process = forked.Process(target=cost, args=(kind, pairs, there))
        process.start()
        there.close()
        found[kind] = here.recv()
        process.join()
        speed, memory = found[kind]
        print(f"# {kind}: {speed:.0f} tokens/s, peak memory +{memory:.0f} MB", file=sys.stderr)
    yield Target(
        "tokens/s, ours / TRL SFT on the same rows",
        found["ours"][0] / found["trl"][0],
        1.0,
        ratio=True,
    )
    yield Target(
        "peak memory growth, ours / TRL SFT",
        found["ours"][1] / found["trl"][1],
        1.0,
        False,
        ratio=True,
    )


def measure(quick: bool) -> Iterator[Target]:
    """Everything; quick: one assembly and fewer pairs, at about as many steps."""
    yield from costs(16 if quick else 150)  # first, while no thread runs that a fork would lose
    yield from differences(Size(1, 24, 50, 150, 5, 8) if quick else Size(5, 150, 100, 300, 5, 32))


if __name__ == "__main__":
    main(__doc__, measure)
