import pytest

from assembly.deliberation import prompts
from assembly.deliberation.prompts import ShownPair, Statement, ballot, declare, digest, speak

PAIR = ShownPair("bees thrive", "taxes fall", 0)
SWAPPED = PAIR._replace(order=1)
SAID = [Statement(0, "Bees feed us."), Statement(1, "I need the money.")]


def test_ballot_is_exact() -> None:
    system, user = ballot("You are X.", PAIR, None)
    assert system == ("system", "You are X.")
    assert user == (
        "user",
        "Here are two possible outcomes. Which one would you prefer? Answer with A or B only.\n"
        "Option A: bees thrive\nOption B: taxes fall",
    )


def test_ballot_after_discussion_is_exact_in_the_swapped_order() -> None:
    assert ballot("You are X.", SWAPPED, digest(SAID, SWAPPED))[1].content == (
        "At your table people said:\nFor B: Bees feed us.\nFor A: I need the money.\n\n"
        "Here are two possible outcomes. Which one would you prefer? Answer with A or B only.\n"
        "Option A: taxes fall\nOption B: bees thrive"
    )


def test_declare_is_exact() -> None:
    assert declare("You are X.", PAIR, digest(SAID[:1], PAIR))[1].content == (
        "At your table people said:\nFor A: Bees feed us.\n\n"
        "You will speak at your table. For which of these two outcomes will you speak? "
        "Answer with A or B only.\nOption A: bees thrive\nOption B: taxes fall"
    )


@pytest.mark.parametrize(("shown", "letter"), [(PAIR, "B"), (SWAPPED, "A")])
def test_speak_is_exact(shown: ShownPair, letter: str) -> None:
    assert speak("You are X.", shown, 1, None)[1].content == (
        "You speak at your table about two possible outcomes.\n"
        f"Option A: {shown.options[0]}\nOption B: {shown.options[1]}\n"
        f"You speak for option {letter}. Give one short reason. "
        "Do not name the letters; say this option or the other option."
    )


def test_swapping_the_order_swaps_the_labels_and_nothing_else() -> None:
    plain, swapped = digest(SAID, PAIR), digest(SAID, SWAPPED)
    assert plain is not None
    swap = str.maketrans({"A": "B", "B": "A"})
    heads = [line.split(": ")[0].translate(swap) for line in plain.splitlines()[1:]]
    texts = [line.split(": ")[1] for line in plain.splitlines()[1:]]
    assert swapped == "\n".join(
        [plain.splitlines()[0], *(f"F{h[1:]}: {t}" for h, t in zip(heads, texts, strict=True))]
    )


def test_digest_is_bounded_and_keeps_the_latest() -> None:
    said = [Statement(0, f"Reason {k}.") for k in range(20)]
    text = digest(said, PAIR)
    assert text is not None
    assert len(text.splitlines()) == prompts.MAX_STATEMENTS + 1
    assert text.endswith("Reason 19.")
    assert digest([], PAIR) is None


def test_braces_in_an_outcome_are_plain_text() -> None:
    shown = ShownPair("{b} wins", "{letter} {0}", 0)
    assert "Option A: {b} wins\nOption B: {letter} {0}" in speak("s", shown, 0, None)[1].content
    assert "Option A: {b} wins\nOption B: {letter} {0}" in ballot("s", shown, None)[1].content
