from plenary.models.local.padding import pad


def test_rows_stand_flush_on_the_side_that_is_not_padded() -> None:
    ids, mask = pad([[5, 6, 7], [8]], 2)
    assert ids.tolist() == [[5, 6, 7], [8, 2, 2]]
    assert mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    ids, mask = pad([[5, 6, 7], [8]], left=True)
    assert ids.tolist() == [[5, 6, 7], [0, 0, 8]]
    assert mask.tolist() == [[1, 1, 1], [0, 0, 1]]
