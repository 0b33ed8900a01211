"""A mapping whose changed copies leave the original as it was, against a dict."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.session.shared_map import SharedMap

_changes = st.lists(
    st.tuples(
        st.sampled_from(["updated", "without"]), st.lists(st.tuples(st.integers(0, 40), st.integers()), max_size=4)
    )
)


@given(_changes)
def test_each_copy_has_what_a_dict_would_have_and_the_originals_keep_theirs(
    changes: list[tuple[str, list[tuple[int, int]]]],
) -> None:
    copies: list[tuple[SharedMap[int, int], dict[int, int]]] = [(SharedMap(), {})]
    for what, items in changes:
        shared, plain = copies[-1]
        if what == "updated":
            copies.append((shared.updated(items), {**plain, **dict(items)}))
        else:
            gone = {key for key, _ in items}
            kept = {key: value for key, value in plain.items() if key not in gone}
            copies.append((shared.without(gone), kept))
    for shared, plain in copies:
        assert list(shared.items()) == list(plain.items()), "in the order in which keys came first"
        assert len(shared) == len(plain)
        assert [key in shared for key in range(41)] == [key in plain for key in range(41)]
        assert shared == plain


def test_what_did_not_change_is_the_same_object() -> None:
    value = object()
    before = SharedMap([(number, value) for number in range(1_000)])
    after = before.updated([(3, object())])
    assert before[3] is value
    assert all(after[number] is value for number in range(1_000) if number != 3)
