import sqlite3

from assembly.deliberation.graph import build


def test_the_graph_is_ballot_rounds_ballot() -> None:
    drawn = build().get_graph()
    edges = {(e.source, e.target) for e in drawn.edges}
    assert edges == {
        ("__start__", "ballot_before"),
        ("ballot_before", "declare"),
        ("ballot_before", "table_statements"),
        ("ballot_before", "ballot_after"),
        ("declare", "speak"),
        ("speak", "declare"),
        ("speak", "table_statements"),
        ("speak", "ballot_after"),
        ("table_statements", "group_draft"),
        ("group_draft", "critique"),
        ("critique", "revise"),
        ("revise", "ballot_after"),
        ("ballot_after", "follow_up"),
        ("ballot_after", "__end__"),
        ("follow_up", "__end__"),
    }


def test_checkpoints_hold_numbers_only(world, tmp_path, small) -> None:
    world.hold(world.backend(), tmp_path, small)
    db = sqlite3.connect(tmp_path / "checkpoints.sqlite")
    blobs = b"".join(
        row[0]
        for row in db.execute(
            "SELECT checkpoint FROM checkpoints UNION ALL SELECT value FROM writes"
        )
    )
    db.close()
    for told in (b"citizen", b"comes to pass", b"This option", b"Option A"):
        assert told not in blobs


def test_a_deleted_checkpoint_file_costs_no_call(world, tmp_path, small) -> None:
    votes = world.hold(world.backend(), tmp_path, small)
    _forget_votes(tmp_path)
    (tmp_path / "checkpoints.sqlite").unlink()
    backend = world.backend()
    again = world.hold(backend, tmp_path, small)
    assert backend.seen == []
    assert again.share_first.tolist() == votes.share_first.tolist()


def test_the_ledger_decides_what_is_finished_when_a_checkpoint_says_otherwise(
    world, tmp_path, small
) -> None:
    votes = world.hold(world.backend(), tmp_path, small)
    _forget_votes(tmp_path)
    assert world.hold(world.backend(), tmp_path, small).pair.tolist() == votes.pair.tolist()


def _forget_votes(folder) -> None:
    db = sqlite3.connect(folder / "ledger.sqlite")
    with db:
        db.execute("DELETE FROM votes WHERE pair % 2 = 1")
    db.close()


def test_a_thread_that_died_after_its_input_checkpoint_is_run(world, tmp_path, small) -> None:
    """Keep only each thread's first checkpoint, as SIGKILL can leave it: next is empty there."""
    votes = world.hold(world.backend(), tmp_path, small)
    _forget_votes(tmp_path)
    db = sqlite3.connect(tmp_path / "checkpoints.sqlite")
    with db:
        db.execute(
            "DELETE FROM checkpoints WHERE checkpoint_id NOT IN "
            "(SELECT min(checkpoint_id) FROM checkpoints GROUP BY thread_id)"
        )
        db.execute("DELETE FROM writes")
    db.close()
    assert len(world.hold(world.backend(), tmp_path, small)) == len(votes)


def test_the_graph_can_be_drawn_for_the_docs() -> None:
    assert "ballot_before" in build().get_graph().draw_mermaid()
