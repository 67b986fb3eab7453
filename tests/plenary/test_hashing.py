import hashlib
from pathlib import Path

from plenary.hashing import content_hash


def test_text_bytes_and_file_of_one_content_have_one_hash(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes("ä".encode())
    expected = hashlib.sha256("ä".encode()).hexdigest()
    assert content_hash("ä") == content_hash("ä".encode()) == content_hash(path) == expected


def test_a_folder_has_the_hash_of_names_and_contents(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "inner").mkdir(parents=True)
    (folder / "b").write_text("1", encoding="utf-8")
    (folder / "inner" / "a").write_text("2", encoding="utf-8")
    found = content_hash(folder)
    assert found == content_hash(f"b\0{content_hash('1')}\ninner/a\0{content_hash('2')}\n")
    (folder / "b").rename(folder / "c")
    assert content_hash(folder) != found


def test_where_nothing_is_there_is_no_hash(tmp_path: Path) -> None:
    assert content_hash(tmp_path / "none") == ""
    assert content_hash("") != ""
