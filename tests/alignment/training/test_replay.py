from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from alignment.retention.sets import load_retention_set
from alignment.training.replay import PROMPTS, ROUNDS, read_replay, sample_replay, write_replay
from plenary.errors import DataError
from plenary.models.base import Message, Reply
from plenary.models.local.huggingface import LocalBackend

ASK, SAY = Message("user", "Which way?"), Message("assistant", "To the left.")
LEAD = Message("user", "Write a short text.")


def _rows(*rows: object) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def test_every_form_of_a_text_is_read(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    system = Message("system", "You are brief.")
    turns = [{"role": m.role, "content": m.content} for m in (system, ASK, SAY)]
    rows = _rows(
        {"messages": turns}, {"prompt": ASK.content, "completion": SAY.content},
        {"text": "Bread rises.\u2028Then it is baked."}, "A river.", turns[:2],
    )  # fmt: skip
    path.write_bytes(b"\xef\xbb\xbf" + rows.replace("\n", "\r\n").encode())
    found = read_replay(path)
    assert found.conversations == [
        (system, ASK, SAY),
        (ASK, SAY),
        (LEAD, Message("assistant", "Bread rises.\u2028Then it is baked.")),
        (LEAD, Message("assistant", "A river.")),
        (system, ASK),
    ]
    assert found.origin == "5 texts of the file 'kept.jsonl'"
    write_replay(found.conversations, tmp_path / "again.jsonl")
    assert read_replay(tmp_path / "again.jsonl").conversations == found.conversations


def test_a_text_file_holds_one_text_a_line(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    path.write_bytes("A river.\r\n\r\n Tea is brewed. \r".encode("utf-16"))
    texts = [conversation[-1].content for conversation in read_replay(path).conversations]
    assert texts == ["A river.", "Tea is brewed."]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jsonl", _rows({"text": "x"}, {"words": "y"}), "line 2 .*'a.jsonl'.*words"),
        ("a.jsonl", _rows({"text": "x", "completion": "y"}), "line 1 .*give one of"),
        ("a.jsonl", _rows({"text": ""}), "line 1 "),
        ("a.jsonl", _rows({"messages": [{"role": "bot", "content": "x"}]}), "line 1 .*'bot'"),
        ("a.jsonl", _rows({"messages": [{"role": "assistant", "content": "x"}]}), "take turns"),
        ("a.jsonl", _rows({"messages": [{"role": "user", "content": " "}]}), "has words"),
        ("a.jsonl", _rows({"messages": []}), "line 1 "),
        ("a.jsonl", _rows(3), "line 1 "),
        ("a.jsonl", "{", "line 1 .*not JSON"),
        ("a.jsonl", "\n\n", "no text"),
        ("a.txt", " \n", "no text"),
        ("a.docx", "x", r"a\.docx.*give a \.jsonl"),
    ],
)
def test_other_files_are_refused_by_line(
    tmp_path: Path, name: str, content: str, reason: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=reason):
        read_replay(tmp_path / name)
    with pytest.raises(DataError, match="nowhere"):
        read_replay(tmp_path / "nowhere.jsonl")


def test_a_model_speaks_for_itself_and_repeats_with_the_seed(
    checkpoint: Callable[[str], Path],
) -> None:
    model = LocalBackend(checkpoint("qwen2"))
    found, again, other = (asyncio.run(sample_replay(model, seed)) for seed in (1, 1, 2))
    assert found == again != other
    assert len(found.conversations) > ROUNDS * len(PROMPTS) / 2
    assert len({conversation[-1].content for conversation in found.conversations}) > len(PROMPTS)
    assert "the model itself wrote" in found.origin


def test_a_model_that_says_nothing_gives_no_text() -> None:
    class Mute:
        async def generate(self, conversations, sampling):
            return [Reply(None, "failed: the server is down")] * len(conversations)

    with pytest.raises(DataError, match=r"0 of 80 .*server is down.*alignment\.replay"):
        asyncio.run(sample_replay(Mute(), 0))


def test_what_is_kept_is_not_what_is_measured() -> None:
    kept = load_retention_set("general")
    measured = {d.prompt for d in kept.documents} | {item.question for item in kept.items}
    assert len(set(PROMPTS)) == len(PROMPTS)
    assert not measured & set(PROMPTS)
