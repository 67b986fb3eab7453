from __future__ import annotations

from pathlib import Path

import pytest

from alignment.retention.retention import RetentionMargins
from alignment.retention.sets import RetentionItem, load_retention_set
from evaluation.stats.paired_proportions import supported_margin
from plenary.errors import DataError


@pytest.mark.parametrize(("name", "items"), [("general", 200), ("embedded", 300)])
def test_shipped_sets_support_the_default_margin(name: str, items: int) -> None:
    kept = load_retention_set(name)
    assert len(kept.items) == items
    assert supported_margin(items) < RetentionMargins().accuracy
    assert len({item.question for item in kept.items}) > 0.95 * items
    counts = [sum(item.answer == k for item in kept.items) for k in range(2)]
    assert 0.5 < counts[0] / counts[1] < 2
    assert len({document.conversation for document in kept.documents}) == len(kept.documents)


def test_right_answers_are_right_where_a_machine_can_check() -> None:
    sums = [i for i in load_retention_set("general").items if "loaves in the morning" in i.question]
    for item in sums:
        numbers = [int(word) for word in item.question.split() if word.isdigit()]
        assert item.options[item.answer] == str(sum(numbers))
    assert len(sums) == 20
    words = [i for i in load_retention_set("general").items if "comes first in" in i.question]
    assert all(item.options[item.answer] == min(item.options) for item in words)
    assert len(words) == 10


def test_an_item_is_one_conversation_an_option() -> None:
    item = RetentionItem(question="Which?", options=("this", "that"), answer=1)
    assert [reply[-1].content for reply in item.replies] == ["this", "that"]
    assert {reply[0].content for reply in item.replies} == {"Which?"}


def test_bad_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    with pytest.raises(DataError, match="one of embedded, general"):
        load_retention_set("arithmetic")
    for options, answer in ((["a", "a"], 0), (["a", "b"], 2)):
        path.write_text(
            f"{{name: x, note: y, items: [{{question: q, options: {options}, answer: {answer}}}], "
            "documents: []}"
        )
        with pytest.raises(DataError, match=r"retention set .*; fix the file"):
            load_retention_set(path)
