"""The picture is compact, what it says is not changed."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optical_memory.pages.compact import compact_json
from optical_memory.pages.kinds import blocks, normalise

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ('{"name": "Mia Li", "age": 33, "zip": "78750", "ok": true}', '{name:Mia Li, age:33, zip:"78750", ok:true}'),
        ('[{"id": 1, "to": "ATL"}, {"id": 2, "to": "SEA"}]', "[{id:1, to:ATL}, {id:2, to:SEA}]"),
        ('[{"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 4}}]', "[{a:{b:1, c:2}}, {a:{b:3, c:4}}]"),
        (
            "[" + ", ".join(f'{{"id": {n}, "to": "ATL"}}' for n in range(6)) + "]",
            "[id;to↵0;ATL↵1;ATL↵2;ATL↵3;ATL↵4;ATL↵5;ATL]",
        ),
        (
            "[" + ", ".join(f'{{"a": {{"b": {n}, "c": 2}}}}' for n in range(6)) + "]",
            "[a(b;c)↵0;2↵1;2↵2;2↵3;2↵4;2↵5;2]",
        ),
        ('book({"user_id":"mia_li_3668","n":1.50})', "book({user_id:mia_li_3668, n:1.50})"),
        ('→ search: {"a": "x, y", "a": "true"}', '→ search: {a:"x, y", a:"true"}'),
        ('{"a:b": "c", "a": "b:c"}', '{"a:b":c, a:b:c}'),
        ('{"t": "07:00:00", "e": ""}', '{t:07:00:00, e:""}'),
        ("def f():\n    if x:\n        return 1\n    y", "def f():↵›if x:↵››return 1↵›y"),
        ("a:\n  b:\n    c: 1", "a:↵›b:↵››c: 1"),
        ("\tx\n\t\ty", "›x↵››y"),
        ("     1→def f():\n     2→\treturn", "1→def f():↵›return"),
        ("8→a\n9→b\n10→c\n11→d\n12→\n13→e\n99→f", "8→a↵b↵10→c↵d↵12→↵13→e↵99→f"),
        ("1. a\n   - b\n      c", "1. a↵›- b↵››c"),
        ("name      size   date", "name  size  date"),
        ("==========\nTitle\n----------", "===↵Title↵---"),
        ("**Note** that f(**a, **b) is 2**3", "*Note* that f(**a, **b) is 2**3"),
        ("| a   | b |\n|-----|:--|\n| 1   | 2 |", "a | b↵1 | 2"),
        ("|x|", "|x|"),
        ("|x|\n|---|\n|1|", "|x|↵|1|"),
        ("| a | b |\nno rule\n| c | d |", "| a | b |↵no rule↵| c | d |"),
        ("|x| = 1\n| a | b\n|--|--|\n| 1 | 2 |\n| 3 |  |", "|x| = 1↵a | b↵1 | 2↵3 |"),
        ("+---+---+\n|   | 2 |\n+---+---+", "+---+---+↵|  | 2 |↵+---+---+"),
        ("x" * 100, "xxx⟨×100⟩"),
        ("retry\n" * 12, "retry⟨×12⟩"),
        ("a\r\nb\n \n\n c", "a↵b¶›c"),
        ('```\r\nx = `a`\r\n```\r\n{"a": "b"}', "`↵x = `a`↵`↵{a:b}"),
        ('```python\nx = {"a": "b"}\n```', '`python↵x = {"a": "b"}↵`'),
    ],
)
def test_text_is_drawn_like_this(text, drawn):
    assert normalise(text) == drawn


@given(
    st.lists(
        st.fixed_dictionaries({"flight": st.from_regex("[A-Z]{3}[0-9]{3}", fullmatch=True), "seats": values}),
        max_size=5,
    )
)
def test_json_keeps_all_its_words_in_their_order(rows):
    """In a short list a value stands beside its key in every row, so that a page can be read, or misread, row by row."""
    text = json.dumps(rows, ensure_ascii=False)
    if "\\" not in text:
        assert re.findall(r"\w+", compact_json(text)) == re.findall(r"\w+", text)


@given(values)
def test_numbers_keep_their_digits_and_no_word_is_lost(value):
    text = json.dumps({"k": value}, ensure_ascii=False)
    short = compact_json(text)
    assert len(short) <= len(text)

    def scalars(item):
        if isinstance(item, dict):
            return [s for pair in item.items() for s in (*scalars(pair[0]), *scalars(pair[1]))]
        return [s for part in item for s in scalars(part)] if isinstance(item, list) else [item]

    for scalar in scalars(value):
        shown = scalar if isinstance(scalar, str) else json.dumps(scalar)
        assert shown in short or json.dumps(scalar, ensure_ascii=False) in short


@pytest.mark.parametrize(
    "text", ["12", "-1.5e3", "true", "null", "", " a", "a,b", "a;b", '"', "{", "[x]", "-", "NaN", "50%\r100%"]
)
def test_strings_that_could_be_taken_for_something_else_keep_their_quotes(text):
    assert compact_json(json.dumps({"k": text})) == "{k:" + json.dumps(text) + "}"


@given(st.text(max_size=300))
def test_blocks_joined_are_the_text(text):
    assert "".join(block for _, block in blocks(text)) == text


@pytest.mark.parametrize(
    "text", ['{"a":' * 9000, "[" * 90000, '[{"a": [' * 9000, "{" * 999 + "}" * 999, '{"a": 1e999999}']
)
def test_what_only_looks_like_json_stays_as_it_is(text):
    assert compact_json(text).replace(" ", "")[:40] == text.replace(" ", "")[:40].replace(
        '{"a":1e999999}', "{a:1e999999}"
    )


@pytest.mark.parametrize("deep", [60, 70, 200, 400])
def test_what_is_drawn_does_not_depend_on_who_calls(deep):
    """Deep in an agent's calls less of the stack is left than in a thread of its own."""
    text = '{"a":' * deep + "1" + "}" * deep

    def called(frames: int) -> str:
        return called(frames - 1) if frames else compact_json(text)

    assert {called(frames) for frames in (0, 150, 300, 450)} == {text.replace('"', "") if deep < 64 else text}


@pytest.mark.parametrize(
    "unit",
    ["a@", "a.", "_a", "**a ", "| a ", "|-|\n", "|--", "|\n", "a\tb\t\n", "\t", "A  B  C\n", "A  ", "A B", "\n", "```\n", "```a\n", "~~~a\n", " x\n", '{"a":', "[[", "你", "a\u0301", "\0", "a  ", "1→\t"],
)  # fmt: skip
def test_hostile_repetition_takes_linear_time(unit):
    start = time.perf_counter()
    normalise(unit * (200_000 // len(unit)))
    assert time.perf_counter() - start < 2.0  # alone about 0.05 seconds; quadratic work would take minutes


@pytest.mark.parametrize("text", ["| a" + " " * 150_000 + "b | c |", "~" * 100_000 + "\n" + "x\n" * 20_000])
def test_one_long_stretch_of_the_same_takes_linear_time(text):
    start = time.perf_counter()
    normalise(text)
    assert time.perf_counter() - start < 2.0  # once 12 seconds and more


def test_the_numbers_of_lines_are_left_out_and_no_others():
    """A time in seconds is no number of a line, though its first nine digits follow from those of the line before."""
    assert normalise("1→a\n2→b\n3→c") == "1→a↵b↵c"
    assert normalise("1700000009\tstart\n1700000015\tstop") == "1700000009→start↵1700000015→stop"


def test_a_fence_that_nothing_closes_is_none_and_the_next_one_is_found():
    """A fence is closed by the same one alone: what is in between is code, what stands outside is not."""
    assert list(blocks("~~~\n```py\na\n```\nb")) == [("text", "~~~\n"), ("code", "```py\na\n```"), ("text", "\nb")]
    assert list(blocks("````\n```\na\n````")) == [("text", ""), ("code", "````\n```\na\n````"), ("text", "")]


def test_code_in_a_sentence_stands_in_apostrophes_and_a_block_between_single_backticks():
    assert normalise("call `run(x)`, then (`a_b`): `done`.") == "call 'run(x)', then ('a_b'): 'done'."
    for kept in ("a=`date`", "it`s", "`it's`", "``", "` x `", "one ` two"):
        assert normalise(kept) == kept.strip()
    assert normalise("```sh\necho `date`\n```") == "`sh↵echo `date`↵`"


def test_an_empty_cell_of_a_table_is_seen_and_is_no_indent():
    """A row that begins with an empty cell begins with a bar, whichever sign parts the cells in the text."""
    drawn = "town | q1 | q2↵Bergen | 1 |↵| 3 | 4↵Oslo |  | 5"
    rows = [["town", "q1", "q2"], ["Bergen", "1", ""], ["", "3", "4"], ["Oslo", "", "5"]]
    markdown = ["| " + " | ".join(row) + " |" for row in rows]
    assert normalise("\n".join([markdown[0], "|---|---|---|", *markdown[1:]])) == drawn
    assert normalise("\n".join("\t".join(row) for row in rows)) == drawn
    assert normalise("```\n" + "\n".join("\t".join(row) for row in rows) + "\n```") == f"`↵{drawn}↵`"


def test_an_empty_cell_below_a_heading_in_capitals_is_seen():
    """Where all cells are filled, blanks part them as before; what stands below the table is left alone."""
    heading = "NAME    READY   STATUS    AGE"
    full, gap = "web-1   1/1     Running   3d", "web-2           Pending   1m"
    bars = "NAME | READY | STATUS | AGE↵web-1 | 1/1 | Running | 3d↵web-2 |  | Pending | 1m"
    assert normalise(f"{heading}\n{full}\n{gap}\n$ kubectl  get nodes") == f"{bars}↵$ kubectl  get nodes"
    assert normalise(f"{heading}\n{full}") == "NAME  READY  STATUS  AGE↵web-1  1/1  Running  3d"
    assert normalise(f"{heading}\nnothing to see here") == "NAME  READY  STATUS  AGE↵nothing to see here"
    assert normalise(f"WARNING   DO NOT   TOUCH\n\n{gap}") == "WARNING  DO NOT  TOUCH¶web-2  Pending  1m"


def test_bars_round_what_is_no_table_stay():
    for kept in ("|x| = |y|", "|a|b|", "Then↵|x| = |y|↵holds", "||x|| <= |y|", "| x | = | y |"):
        assert normalise(kept.replace("↵", "\n")) == kept


def test_a_bar_that_belongs_to_its_cell_parts_no_cells():
    assert normalise("| a \\| b | c |\n|---|---|\n| 1 | 2 |") == "a \\| b | c↵1 | 2"
    assert normalise("a|b\tc\td\n1\t\t2") == "a\\|b | c | d↵1 |  | 2"


def test_numbers_in_a_column_of_a_table_are_not_left_out_as_those_of_lines_are():
    assert normalise("id\tname\tage\n1\tAnn\t33\n2\tBob\t41") == "id | name | age↵1 | Ann | 33↵2 | Bob | 41"


def test_tabs_that_indent_or_align_make_no_table():
    assert normalise("a\tb\tc\nd\te\tf") == "a  b  c↵d  e  f"
    assert normalise("#define A\tx\ty\n\t\tz") == "#define A  x  y↵››z"
    assert normalise("     1\tif x:\t# why\n     2\t\treturn") == "1→if x:  # why↵›return"
    assert normalise("key:\t\tone\nother:\t\ttwo") == "key:  one↵other:  two"


def test_blanks_before_a_line_s_number_indent_nothing():
    """`cat -n` sets numbers flush right: the same file is drawn with the same indents, numbered or not."""
    file = ["def f():", "    if x:", "        return 1", "    return 2"]
    plain = normalise("\n".join(file))
    assert plain == "def f():↵›if x:↵››return 1↵›return 2"
    assert normalise("\n".join(f"{n:6}\t{line}" for n, line in enumerate(file, 1))) == f"1→{plain}"


def test_the_first_line_keeps_its_indent_where_others_follow():
    """An excerpt of code begins anywhere: what stands beside its first line must not look as if it stood below it."""
    assert normalise("    def f():\n        return 1\n    def g():") == "›def f():↵››return 1↵›def g():"
    assert normalise("\n  \n    a\n    b\n") == "›a↵›b"
    assert normalise("  a sentence. \n") == "a sentence."
    assert normalise("read(a)\n→     def f():\n        return 1") == "read(a)↵→ ›def f():↵››return 1"
    assert normalise("→      1\tdef f():\n     2\t    return 1") == "→ 1→def f():↵2→›return 1"
