from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plenary.models.parse_label import parse_label

READABLE = [
    ("A", "A"),
    ("B.", "B"),
    ("b", "B"),
    (" a \n", "A"),
    ("(B)", "B"),
    ("[A]", "A"),
    ('"A"', "A"),
    ("**B**", "B"),
    ("`A`", "A"),
    ("Option B.", "B"),
    ("option a", "A"),
    ("Answer: A", "A"),
    ("The answer is **A**.", "A"),
    ("My final answer: option B", "B"),
    ("Answer: A is tempting, but on reflection... Answer: B", "B"),
    ("A: the town plants trees", "A"),
    ("A, because it saves lives.", "A"),
    ("A because it saves lives.", "A"),
    ("B because it saves lives.", "B"),
    ("I would choose A over B.", "A"),
    ("I prefer option B, as option A costs too much.", "B"),
    ("I'd go with B", "B"),
    ("Between the two, I pick (a).", "A"),
    ("Option A is cheaper, option B is fairer. I choose B.", "B"),
    ("Both have merits, but my answer is A.", "A"),
    ("<think>A seems fine. Answer: A</think>B", "B"),
    ("Ich w\u00e4hle B.", "B"),
    ("La respuesta es A.", "A"),
    ("\u6211\u9009\u62e9B", "B"),
    ("\uff22", "B"),
    ("$\\boxed{A}$ Answer: A", "A"),
    ("A\n\nExplanation: a clinic helps many.", "A"),
    ("Not an easy question. B", "B"),
]
UNREADABLE = [
    "",
    "A pet parrot",
    "a pet parrot",
    "A difficult question.",
    "Both.",
    "Both A and B are fine.",
    "Neither A nor B.",
    "Neither.",
    "A or B",
    "A/B",
    "I cannot choose between A and B.",
    "I would not choose A.",
    "As an AI, I have no preferences.",
    "Option A has merits and option B has merits.",
    "C",
    "Je ne peux pas choisir.",
    "Abstain",
    "I am not able to pick a side.",
    "BA",
    "The answer is a matter of taste.",
]


@pytest.mark.parametrize(("text", "label"), READABLE)
def test_reads_what_is_clear(text: str, label: str) -> None:
    assert parse_label(text, ("A", "B")) == label


@pytest.mark.parametrize("text", UNREADABLE)
def test_never_guesses(text: str) -> None:
    assert parse_label(text, ("A", "B")) is None


def test_labels_may_be_words() -> None:
    assert parse_label("I choose the first: Alpha.", ("alpha", "beta")) is None
    assert parse_label("Answer: Beta", ("alpha", "beta")) == "beta"
    assert parse_label("10", ("1", "10")) == "10"


@given(st.text(max_size=200))
def test_any_text_gives_a_label_or_none(text: str) -> None:
    assert parse_label(text, ("A", "B")) in ("A", "B", None)


TAKEN_FOR_THE_OTHER = [
    ("A beats B", "A"),
    ("A > B", "A"),
    ("A wins, B loses", "A"),
    ("A helps more people than B.", None),
    ("A is worse than B.", "B"),
    ("A: it is worse than B.", None),
    ("1. A\n2. B", None),
    ("<think>I choose A.", None),
]


@pytest.mark.parametrize(("text", "label"), TAKEN_FOR_THE_OTHER)
def test_no_label_is_read_by_elimination(text: str, label: str | None) -> None:
    assert parse_label(text, ("A", "B")) == label


PAIRS = (("A", "B"), ("1", "2"), ("Alpha", "Beta"), ("Uno", "Dos"))
MARKED_UP = ("**{}**", "({})", '"{}"', "`{}`", "[{}]", "option {}", "**Option {}**", "_{}_")


def templates() -> dict[str, list[str]]:
    """The lines of support/replies.txt by section."""
    path = Path(__file__).parents[2] / "support" / "replies.txt"
    found: dict[str, list[str]] = {}
    section: list[str] = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line in ("[clear]", "[safe]", "[unclear]"):
            section = found.setdefault(line[1:-1], [])
        elif line and found:
            section.append(line)
    return found


def filled(template: str, pair: tuple[str, str], chosen: int, mark_up: str = "{}") -> str:
    names = {"A": pair[0], "B": pair[1], "X": pair[chosen], "Y": pair[1 - chosen]}
    blanks = {"\u23ce": "\n", "{tab}": "\t", "{nbsp}": "\u00a0"}
    for blank, stands_for in blanks.items():
        template = template.replace(blank, stands_for)
    return re.sub(
        r"(?<![A-Za-z])[ABXY](?![A-Za-z])", lambda m: mark_up.format(names[m.group()]), template
    )


def replies(section: str) -> Iterator[tuple[str, str, tuple[str, str], int]]:
    """Template, reply, labels and the place of X in them; plain words also in three mark-ups."""
    for k, template in enumerate(templates()[section]):
        plain_words = re.fullmatch(r"[\w\s.,']+", template) and "option" not in template.casefold()
        ways = [("{}", pair) for pair in PAIRS]
        if plain_words:
            ways += [(MARKED_UP[(k + m) % len(MARKED_UP)], PAIRS[(k + m) % 4]) for m in (0, 2, 5)]
        for mark_up, pair in ways:
            for chosen in (0, 1):
                yield template, filled(template, pair, chosen, mark_up), pair, chosen


def test_a_battery_of_replies_turns_none_around(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {section: Counter[str]() for section in ("clear", "safe", "unclear")}
    wrong, unread = [], set()
    for section, count in counts.items():
        for template, text, pair, chosen in replies(section):
            label = parse_label(text, pair)
            right = section != "unclear" and label == pair[chosen]
            count["read" if right else "unreadable" if label is None else "turned"] += 1
            if label is not None and not right:
                wrong.append((text, label))
            if label is None and section == "clear":
                unread.add(template)
    with capsys.disabled():
        for section, count in counts.items():
            figures = ", ".join(
                f"{count[what]} {what}" for what in ("read", "unreadable", "turned")
            )
            print(f"\n{section}: {count.total()} replies, {figures}", end="")  # noqa: T201
    assert not wrong
    assert sum(count.total() for count in counts.values()) >= 1000
    assert counts["clear"]["read"] >= 0.9 * counts["clear"].total(), sorted(unread)


def exchanged(text: str) -> str:
    other = {"A": "B", "B": "A", "a": "b", "b": "a"}
    return re.sub(r"(?<![^\W_])[ABab](?![^\W_])", lambda m: other[m.group()], text)


FRAGMENTS = (
    *("A", "B", "a", "b", "(A)", "b)", "**A**", "Option A", "option b", "Answer: B", "\\boxed{A}"),
    *("<answer>B</answer>", "[[A]]", '"A"', '"I choose B"', "A's", "A/B", '{"answer": "A"}', "B:"),
    *("> quoted A", "~~A~~", "\u00abB\u00bb", "A)", "A.", "$A$", "A pet", "a tree"),
    *("I choose", "I prefer", "I would", "I", "not", "no", "but", "because", "Answer:", "if", "or"),
    *("the answer is", "Final answer:", "my vote goes to", "is better", "is worse", "than", "over"),
    *(">", "<", "beats", "loses to", "wins", "costs", "helps", "and", "unless", "wait", "actually"),
    *("the other", "instead of", "rather than", "hepatitis", "Both", "neither", "5,000", "1.", "2"),
    *("first", "second", "Ranking:", "however", "although", "I think", "he said", "for", "it", "#"),
    *("<think>", "</think>", "\u6211\u9009", "\u7b54\u6848\u662f", "\u3001", "\u3002", "\u2705"),
    *(",", ".", "...", "?", "!", ";", ":", "-", "\u2014", "\n", "*", "|", "\u274c", "Elijo", "es"),
)


@settings(max_examples=500)
@given(st.lists(st.tuples(st.sampled_from(FRAGMENTS), st.sampled_from(" \u00a0")), max_size=9))
def test_exchanged_labels_are_read_exchanged(parts: list[tuple[str, str]]) -> None:
    text = "".join(fragment + blank for fragment, blank in parts)
    label = parse_label(text, ("A", "B"))
    assert parse_label(exchanged(text), ("A", "B")) == {"A": "B", "B": "A", None: None}[label]
    assert parse_label(text, ("B", "A")) == label


@pytest.mark.parametrize(
    "text", ["A " * 20_000, "I would " * 5_000, "(" * 20_000, '{"a":' * 5_000, "A > B " * 5_000]
)
def test_hostile_replies_are_unreadable(text: str) -> None:
    assert parse_label(text, ("A", "B")) is None


def test_more_than_two_labels() -> None:
    letters = tuple("ABCDEFGHIJ")
    assert parse_label("I choose C.", letters) == "C"
    assert parse_label("I choose I.", letters) == "I"
    assert parse_label("B > A > C", letters) == "B"
    assert parse_label("A, B or C", letters) is None
