"""The data file of the paper's tables and figures: whole, and every reason of it belongs to a number."""

from __future__ import annotations

from fnmatch import fnmatchcase

from mmbench.experiments.published.gather import gather_tables
from mmbench.tables.paper_notes import Entry, RowNote, entry_of, read_entries
from mmbench.tables.published import published


def test_every_table_and_figure_has_one_entry() -> None:
    tables = [table for entry in read_entries() for table in entry.tables]
    figures = [figure for entry in read_entries() for figure in entry.figures]
    assert sorted(tables, key=int) == [str(number) for number in range(1, 15)]
    assert sorted(figures) == ["2", "3", "4", "5", "6", "7"]
    assert {table for table in tables if not entry_of(table).holds_settings} == set(published())
    assert all(entry.differs and not entry.differs.endswith(".") for entry in read_entries())


def test_every_reason_belongs_to_a_printed_number_or_a_released_discriminator() -> None:
    places = {(t.number, line.row, line.column) for t in gather_tables([]) for line in t.lines}
    places |= {(t, f"{row}-release", column) for t, row, column in places if t in "234" and row.endswith("+mmdisco")}
    for entry in read_entries():
        for note in entry.rows:
            fits = [p for p in places if p[0] == note.table and fnmatchcase(p[1], note.row)]
            assert any(fnmatchcase(column, note.column) for _, _, column in fits), note


def test_the_first_reason_that_fits_counts() -> None:
    rows = (RowNote(table="2", row="a*", reason="first"), RowNote(table="2", column="fvd", reason="second"))
    entry = Entry(what="", command="", differs="", tables=("2",), figures={"9": ""}, rows=rows)
    assert [entry.reason("2", *place) for place in (("ab", "fvd"), ("b", "fvd"), ("b", "fad"))] == [
        "first",
        "second",
        "",
    ]
    assert entry.reason("3", "ab", "fvd") == ""
    assert entry.label == "Table 2, Figure 9"
