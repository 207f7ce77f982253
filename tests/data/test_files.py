"""Reading official files: what is fine, and what each broken file says."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mase.data.decoding import decode
from mase.data.files import find_file, read_file, read_split
from mase.errors import DataError
from mase.params import FileColumns, FileSource, TaskParams
from tests.data.toy import content

COLUMNS = FileColumns(text_a="first", text_b="second", label="label")
HEADER = "id\tfirst\tsecond\tlabel\n"
GOOD = "7\tone\ttwo\tno\n8\tthree\tfour\tyes\n"


def pair_task(**changes: object) -> TaskParams:
    files = {"folder": "Pair", "train": "train.tsv", "dev": "dev.tsv", "columns": COLUMNS.model_dump()}
    return TaskParams.model_validate(content("pair", ("no", "yes"), **{"files": files, **changes}))


SCORES = pair_task(
    family="regression", labels=[], label_range=(0, 5), metrics=["pearson"], main_metric="pearson"
)


def write(folder: Path, content: str | bytes, name: str = "train.tsv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_columns_are_found_by_name_and_labels_become_positions(tmp_path: Path) -> None:
    rows = read_file(write(tmp_path, HEADER + GOOD), pair_task(), COLUMNS, prefix="train")
    assert rows.ids == ("train-2", "train-3")
    assert (rows.texts_a, rows.texts_b) == (("one", "three"), ("two", "four"))
    assert rows.labels.dtype == np.int64
    assert rows.labels.tolist() == [0, 1]
    moved = "label\tnew\tsecond\tfirst\nno\tx\ttwo\tone\nyes\tx\tfour\tthree\n"
    assert read_file(write(tmp_path, moved), pair_task(), COLUMNS, prefix="train") == rows


@pytest.mark.parametrize(
    "content",
    [
        (HEADER + GOOD).encode("utf-8-sig"),
        (HEADER + GOOD).replace("\n", "\r\n").encode(),
        (HEADER + GOOD).removesuffix("\n").encode(),
        (HEADER + GOOD + "\n\n").encode(),
    ],
    ids=["byte-order mark", "CRLF", "no final newline", "blank lines at the end"],
)
def test_harmless_variants_read_the_same(tmp_path: Path, content: bytes) -> None:
    plain = read_file(write(tmp_path, HEADER + GOOD, "plain.tsv"), pair_task(), COLUMNS)
    assert read_file(write(tmp_path, content), pair_task(), COLUMNS) == plain


def test_a_byte_order_mark_does_not_hide_the_first_column(tmp_path: Path) -> None:
    content = "first\tsecond\tlabel\none\ttwo\tno\n".encode("utf-8-sig")
    assert read_file(write(tmp_path, content), pair_task(), COLUMNS).texts_a == ("one",)


def test_bare_quotes_and_odd_line_separators_stay_inside_their_field(tmp_path: Path) -> None:
    first, second = '" He said , "" no', 'a\u2028b\x85c\x0bd "'
    rows = read_file(write(tmp_path, f"{HEADER}1\t{first}\t{second}\tyes\n{GOOD}"), pair_task(), COLUMNS)
    assert rows.texts_a[0] == first
    assert rows.texts_b is not None and rows.texts_b[0] == second
    assert len(rows) == 3


def test_a_quoted_field_with_a_line_break_is_rejoined(tmp_path: Path) -> None:
    rows = read_file(write(tmp_path, HEADER + '1\tone\t"two\nmore"\tyes\n' + GOOD), pair_task(), COLUMNS)
    assert rows.texts_b == ('"two more"', "two", "four")
    assert rows.ids == ("row-2", "row-4", "row-5")


def test_two_short_rows_in_a_row_are_not_rejoined(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.tsv:2: 3 fields where the header has 4"):
        read_file(write(tmp_path, HEADER + "1\tone\ttwo\nthree\tyes\n"), pair_task(), COLUMNS)


BROKEN: dict[str, tuple[str | bytes, int, str, str]] = {
    "truncated row": (HEADER + GOOD + "9\tfive", 4, "2 fields where the header has 4", "cut short"),
    "blank row": (HEADER + "\n" + GOOD, 2, "1 fields where the header has 4", "cut short"),
    "too many columns": (HEADER + GOOD + "9\ta\tb\tno\tz\n", 4, "5 fields where", "separator inside a field"),
    "unknown label": (
        HEADER + GOOD + "9\ta\tb\tyess\n",
        4,
        "unknown label 'yess' (did you mean 'yes'?)",
        "no, yes",
    ),
    "empty label": (HEADER + "9\ta\tb\t\n", 2, "unknown label ''", "correct column 'label'"),
    "wrong encoding": (HEADER.encode() + b"9\tcaf\xe9\tb\tno\n", 2, "byte 0xe9 is not UTF-8", "WINDOWS-1252"),
    "wrong encoding after a byte-order mark": (
        HEADER.encode("utf-8-sig") + GOOD.encode() + b"\xe99\ta\tb\tno\n",
        4,
        "byte 0xe9 is not UTF-8",
        "iconv",
    ),
    "UTF-16": ((HEADER + GOOD).encode("utf-16"), 1, "is not UTF-8", "iconv -f UTF-16"),
    "missing column": ("id\tfirst\tlabel\n1\ta\tno\n", 1, "no column 'second'", "'id', 'first', 'label'"),
    "empty file": (b"", 1, "the file is empty", "'first', 'second', 'label'"),
    "only a byte-order mark": (b"\xef\xbb\xbf\n", 1, "the file is empty", "fetch the file again"),
    "only a header": (HEADER, 2, "no row", "fetch the file again"),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_file_is_one_error_with_file_line_and_remedy(tmp_path: Path, name: str) -> None:
    content, line, what, remedy = BROKEN[name]
    path = write(tmp_path, content)
    with pytest.raises(DataError) as caught:
        read_file(path, pair_task(), COLUMNS)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: ")
    assert what in message
    assert remedy in message
    assert "\n" not in message


@pytest.mark.parametrize("score", ["5.2", "-0.1", "nan", "inf", "high", ""])
def test_a_score_out_of_range_or_not_a_number_is_refused_with_its_line(tmp_path: Path, score: str) -> None:
    path = write(tmp_path, f"{HEADER}1\ta\tb\t4.2\n2\ta\tb\t{score}\n")
    with pytest.raises(DataError, match=r"train\.tsv:3: score .*; correct column 'label'"):
        read_file(path, SCORES, COLUMNS)


def test_scores_are_float32_and_the_ends_of_the_range_are_fine(tmp_path: Path) -> None:
    rows = read_file(write(tmp_path, f"{HEADER}1\ta\tb\t0\n2\ta\tb\t5.000\n"), SCORES, COLUMNS)
    assert rows.labels.dtype == np.float32
    assert rows.labels.tolist() == [0.0, 5.0]


def test_a_missing_file_names_both_places_and_the_option(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        read_split(pair_task(), str(tmp_path), "dev")
    message = str(caught.value)
    assert str(tmp_path / "Pair" / "dev.tsv") in message
    assert str(tmp_path / "glue" / "Pair" / "dev.tsv") in message
    assert "--data-dir" in message


def test_the_directory_may_be_the_glue_folder_or_its_parent(tmp_path: Path) -> None:
    folder = tmp_path / "glue" / "Pair"
    folder.mkdir(parents=True)
    path = write(folder, HEADER + GOOD)
    source = pair_task().files
    assert isinstance(source, FileSource)
    assert find_file(source, str(tmp_path), "train.tsv") == path
    assert find_file(source, str(tmp_path / "glue"), "train.tsv") == path


def test_a_file_that_cannot_be_opened_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        decode(tmp_path)


def test_a_task_without_files_says_so() -> None:
    with pytest.raises(DataError, match="no official files"):
        read_split(pair_task(files=None), ".", "train")


def test_a_csv_file_follows_quoting_rules(tmp_path: Path) -> None:
    path = write(tmp_path, 'first,second,label\n"one, and\nmore",two,no\n\nthree,"say ""x""",yes\n', "my.csv")
    rows = read_file(path, pair_task(), COLUMNS, file_format="csv")
    assert rows.texts_a == ("one, and\nmore", "three")
    assert rows.texts_b == ("two", 'say "x"')
    assert rows.ids == ("row-2", "row-5")


def test_a_broken_csv_file_names_the_line(tmp_path: Path) -> None:
    path = write(tmp_path, 'first,second,label\na,b,no\n"open,b,no\n', "my.csv")
    with pytest.raises(DataError, match=r"my\.csv:3: .*double the quotes"):
        read_file(path, pair_task(), COLUMNS, file_format="csv")


FIELD = st.text(st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(FIELD, FIELD, st.sampled_from(["no", "yes"])), min_size=1, max_size=6))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, str, str]]
) -> None:
    lines = [f"{number}\t{a}\t{b}\t{label}\n" for number, (a, b, label) in enumerate(records)]
    path = write(tmp_path_factory.mktemp("round"), HEADER + "".join(lines))
    rows = read_file(path, pair_task(), COLUMNS, keep_empty=True)
    assert rows.texts_a == tuple(a.strip() for a, _, _ in records)
    assert rows.texts_b == tuple(b.strip() for _, b, _ in records)
    assert rows.labels.tolist() == [("no", "yes").index(label) for _, _, label in records]
