"""The formats of hash lists, and what a list that cannot be read says."""

import pytest

from obscura.hashes.list_file import HashListError, HashType, ListedHashes, read_hash_list

A, B = "a" * 64, "0123456789abcdef" * 4


def test_bare_lines_are_of_the_type_that_the_operator_names() -> None:
    text = f"# known\n{A}\n\n  {B.upper()}\r\n".encode()

    assert read_hash_list(text).pdq == [int(A, 16), int(B, 16)]
    assert read_hash_list(text, HashType.SHA256).sha256 == {bytes.fromhex(A), bytes.fromhex(B)}


def test_lines_with_a_type_hold_their_hash_behind_it_and_other_types_are_counted() -> None:
    listed = read_hash_list(f"pdq {A} 4711\nHASH_PDQ,{B},x\nsha256 {B}\nmd5 0123\nurl https://example.com".encode())

    assert listed == ListedHashes([int(A, 16), int(B, 16)], frozenset({bytes.fromhex(B)}), other=2)


def test_the_csv_of_threatexchange_is_read_by_its_header() -> None:
    rows = f'signal_type,signal_str,collab,category,tags\npdq,{A},"c, d",m,x y\nvideo_md5,00,c,m,\n'

    listed = read_hash_list(b"\xef\xbb\xbf" + rows.encode())

    assert (listed.pdq, listed.other) == ([int(A, 16)], 1)


def test_an_old_cache_without_a_header_has_its_hash_first() -> None:
    assert read_hash_list(f"{A},123,456,2020-01-01,labels".encode()).pdq == [int(A, 16)]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (f"{A}\n{A[:-1]}", "Line 2"),
        (f"pdq {A}x", "Line 1"),
        (f"signal_type,signal_str\npdq,{A}\npdq", "Line 3"),
        ("signal_type,other\n", "Line 1"),
        ("secret words", None),
    ],
)
def test_a_line_that_is_no_hash_ends_the_reading_and_is_not_repeated(content: str, line: str | None) -> None:
    if line is None:
        assert read_hash_list(content.encode()).other == 1
        return
    with pytest.raises(HashListError, match=line) as raised:
        read_hash_list(content.encode())
    assert A[:-1] not in str(raised.value)


def test_a_list_that_is_no_text_is_refused() -> None:
    with pytest.raises(HashListError, match="UTF-8"):
        read_hash_list(b"\xff\xfe\x00")
