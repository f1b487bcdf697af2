"""Other scripts: drawn as their readers expect them, inside their boxes, and only where fonts for them are at hand."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
import unicodedata
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optical_memory.errors import ConfigError
from optical_memory.pages import (
    RENDERER,
    Sheet,
    Style,
    TurnText,
    drawable,
    fitted,
    layout,
    measure,
    render_page,
    renderer,
    renderers,
)
from optical_memory.pages.fonts import SCRIPTS, Fonts, Run, fonts, picture
from optical_memory.pages.glyphs import CELL, PHASES, face
from optical_memory.pages.kinds import normalise
from optical_memory.pages.layout import MARGIN, TOP
from optical_memory.pages.marks import CHAIN, lacking, visible
from optical_memory.pages.render import RULE_GREY, pixels
from optical_memory.pages.scripts import PITCH, READ, STRAY, levels, turned, units, visual
from tests.data import data_dir
from tests.pages.test_render import letters, same

SHEET = Sheet(448, 448, 28)
needs_fonts = pytest.mark.skipif(len(fonts().files) < len(SCRIPTS), reason="the extra scripts is not installed")
without_fonts = pytest.mark.skipif(bool(fonts().files), reason="the extra scripts is installed")

ZH, AR, HE = "你好，世界。我们明天去北京。", "مرحبا بالعالم، كيف حالك اليوم؟", "שלום עולם, מה שלומך היום?"
HI, TH, JA = "नमस्ते, क्षत्रिय लोग कहाँ हैं?", "สวัสดีครับ น้ำขึ้นให้รีบตัก", "ひらがなとカタカナ、漢字。"
KO, EMOJI = "안녕하세요, 저는 서울에 살아요.", "😀✅👩\u200d💻👍🏽🇩🇪1\ufe0f\u20e3"


MIXED = st.text(
    st.sampled_from(ZH + AR + HE + HI + TH + JA + KO + EMOJI + " \n⟪↵⟨\u202e\u200d\u200c(12.)"), max_size=60
)


def page(text: str, style: Style | None = None, sheet: Sheet = SHEET):
    return layout([TurnText(1, "user", text)], style or fitted(Style(10), [text]), sheet)[0]


# ------------------------------------------------------------------------------------------------ units and their order


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a你好b", ["a", "你", "好", "b"]),
        ("سلام عليكم", ["سلام", " ", "عليكم"]),
        ("شَدَّة", ["شَدَّة"]),
        ("שָׁלוֹם", ["שָׁ", "ל", "וֹ", "ם"]),
        ("क्षत्रिय", ["क्ष", "त्रि", "य"]),
        ("น้ำที่", ["น้ำ", "ที่"]),
        ("한\u1112\u1161\u11ab", ["한", "\u1112\u1161\u11ab"]),
        (EMOJI, ["😀", "✅", "👩\u200d💻", "👍🏽", "🇩🇪", "1\ufe0f\u20e3"]),
        ("٣٫٥", ["٣", "٫", "٥"]),
        ("فأسقيناكموها", ["فأسقيناكمو", "ها"]),
    ],
)
def test_what_must_be_drawn_as_a_whole_is_one_unit(text, parts):
    assert units(text) == parts


@given(st.text(st.characters(codec="utf-8"), max_size=60))
def test_the_units_of_a_text_joined_are_the_text(text):
    assert "".join(units(text)) == text


def seen(text: str, base: int | None = None) -> str:
    """The units in the order in which they stand on a line, from the left."""
    parts = units(text)
    level = levels(parts, base)
    if level is None:
        return text
    pens = visual(np.ones(len(parts), np.int64), level)
    return "".join(parts[i] for i in np.argsort(pens))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text 12", "plain text 12"),
        ("the word אב and גד end", "the word בא and דג end"),  # each stretch by itself, in a line read from the left
        ("אב גד 12 הו", "וה 12 דג בא"),  # a whole line from the right, its number from the left
        ("אב 1,250.50 גד", "דג 1,250.50 בא"),
        ("אבגדה 12-34 ו abc d ז", "ז abc d ו 12-34 הדגבא"),
        ("he said (אב) then", "he said (בא) then"),
        ("אב (cd) ה", "ה )cd( בא"),  # the brackets are drawn the other way round
        ("אב ⟨U+202E⟩ גד", "דג ⟨U+202E⟩ בא"),
        ("abc ↵אב גד", "abc ↵דג בא"),  # paragraphs are ordered each by itself
        ("דנה: hello אבג דהו זחט", "טחז והד גבא hello :הנד"),  # the most letters decide, not the first
    ],
)
def test_right_to_left_text_stands_as_it_is_read(text, shown):
    assert seen(text) == shown


def test_a_sign_behind_a_number_stands_on_the_side_of_the_text_that_the_number_follows():
    """Unicode's W2: digits behind Arabic letters are Arabic numbers, to which a percent sign does not belong."""
    assert seen("ب 50% ب") == "ب %50 ب"
    assert seen("א 50% א") == "א 50% א"


@pytest.mark.parametrize("closing", [") b ", "] b ", ") ב "])
def test_thousands_of_brackets_in_right_to_left_text_are_laid_out_in_linear_time(closing):
    """48,000 characters once took 20 seconds, four times as long as half of them."""
    text = "שלום " + "(a " * 8_000 + closing * 8_000
    began = time.process_time()
    assert levels(units(text)) is not None
    assert time.process_time() - began < 2


def test_letters_of_arabic_words_are_in_the_order_of_the_text_and_words_stand_from_the_right():
    assert seen("سلام عليكم 12") == "12 عليكم سلام"


def test_a_mark_of_ours_is_read_from_the_left_whatever_the_name_in_it():
    assert seen("⟪u2 דנה כהן⟫", 0) == "⟪u2 ןהכ הנד⟫"


@given(st.text(st.sampled_from("ab 12,.()[]אבג\u0627\u0628٣↵¶"), max_size=40))
def test_reordering_loses_nothing_and_overlaps_nothing(text):
    parts = units(text)
    level = levels(parts)
    if level is not None:
        wide = np.array([1 + len(p) for p in parts], np.int64)
        pens = visual(wide, level)
        order = np.argsort(pens)
        assert np.array_equal(np.cumsum(wide[order]) - wide[order], pens[order])


# ---------------------------------------------------------------------------------------------- what is drawn as itself


@needs_fonts
@pytest.mark.parametrize("text", [ZH, AR, HE, HI, TH, JA, KO, EMOJI, "می\u200cخواهم", "क्\u200dष", "１２　全角"])
def test_text_of_the_scripts_at_hand_has_no_codes(text):
    assert lacking(text, "s") == 0
    assert drawable(text, "s") == 1.0
    assert "⟨" not in visible(text, "s")


@needs_fonts
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("سلام\u202eabc", "سلام⟨U+202E⟩abc"),
        ("م\u200f", "م⟨U+200F⟩"),
        ("你\u200b好", "你⟨U+200B⟩好"),
        ("ab\u200ccd", "ab⟨U+200C⟩cd"),
        ("د\u200cر", "د⟨U+200C⟩ر"),  # neither joins the next letter: nobody would see it
        ("你\U000e0100", "你⟨U+E0100⟩"),
        ("\u3164x", "⟨U+3164⟩x"),
        ("ก" + "ิ" * 40, "กิิ⟨+38 marks⟩"),
        ("你⟨U+0041⟩⟪s1⟫", "你⟨U+27E8⟩U+0041⟨U+27E9⟩⟨U+27EA⟩s1⟨U+27EB⟩"),
    ],
)
def test_what_cannot_be_seen_is_a_visible_code_beside_other_scripts_too(text, shown):
    assert visible(text, "s") == shown


@needs_fonts
def test_a_zero_beside_capitals_is_narrower_among_other_scripts_too():
    page = layout([TurnText(1, "user", "编号 HAT039，价格 100 元 😀 Z0")], Style.of("sans12s"), Sheet(924, 200, 28))[0]
    assert int((page.glyphs == face("sans").zero).sum()) == 2
    assert "".join(page.lines()).count("0") == 4


@needs_fonts
def test_the_plain_style_never_asks_a_font():
    assert layout([TurnText(1, "user", "你好")], Style(10), SHEET)[0].lines() == ["⟪⟫⟨U+4F60⟩⟨U+597D⟩"]
    assert lacking("你好") == 2


@needs_fonts
def test_a_style_for_emoji_draws_emoji_and_no_letters():
    assert visible("✅ 你", "e") == "✅ ⟨U+4F60⟩"


@without_fonts
def test_without_fonts_everything_else_is_a_code():
    assert drawable(ZH, "s") == 0.0
    assert fitted(Style(10), [ZH, EMOJI]) == Style(10)
    assert layout([TurnText(1, "user", ZH)], Style(10, scripts="s"), SHEET)[0].runs == ()
    assert renderers() == RENDERER


# -------------------------------------------------------------------------------------------------------- which pitch


@needs_fonts
@pytest.mark.parametrize(("name", "text"), [("han", ZH), ("han", JA), ("han", KO), ("arabic", AR), ("hebrew", HE),
                                            ("devanagari", HI), ("thai", TH)])  # fmt: skip
def test_a_page_of_another_script_has_the_pitch_that_was_measured_for_it(name, text):
    style = fitted(Style(10, "narrow", True), ["English beside it.", text])
    assert style.pitch == int(np.ceil(10 * PITCH[name]))
    assert style.plain == Style(10, "narrow", True)
    assert fitted(style, [text]) == style


@needs_fonts
def test_a_stray_word_of_another_script_does_not_make_a_page_larger():
    assert STRAY == 0.02
    assert fitted(Style(10), ["x" * 980 + "你" * 19]) == Style(10, scripts="s")
    assert fitted(Style(10), ["x" * 980 + "你" * 21]).pitch > 10


@needs_fonts
def test_a_stray_word_that_could_not_be_read_is_drawn_as_codes():
    assert fitted(Style(READ["han"] - 1), ["x" * 980 + "你" * 19]) == Style(READ["han"] - 1)
    assert fitted(Style(READ["han"] - 1), ["x" * 980 + "你✅"]) == Style(READ["han"] - 1, scripts="e")


@needs_fonts
@pytest.mark.parametrize(
    "text", ["😀\u200d" * 30_000 + "😀", "\u1100\u1102" * 30_000, "\u1100" + "\u1161\u1162" * 30_000]
)
def test_characters_without_end_that_would_be_drawn_as_one_are_parted(text):
    """One picture of thousands of joined emoji took gigabytes, and beyond some size was an error."""
    assert max(map(len, units(visible(text, "s")))) <= 16
    assert layout([TurnText(1, "user", "漢字 " + text)], Style(12, scripts="s"), SHEET)


@needs_fonts
@pytest.mark.parametrize("scripts", ["s", "e"])
@pytest.mark.parametrize(
    "text",
    [
        "👩" * 30 + "\u200d💻", "1" * 30 + "\ufe0f\u20e3", "🇩🇪\u200d🚀", "a🏽\u200d💻", "x\u094d\u200dक", "क" + "\u094d" * 9 + "\u200dष",
        "क्\u200dष ✅", "می\u200cخواهم ✅", "🏽" * 50_000 + "\u200d",
    ],
)  # fmt: skip
def test_a_joiner_whose_neighbours_are_drawn_otherwise_is_no_error_and_never_unseen(text, scripts):
    """Counts of what is repeated, flags, codes: where its neighbour had gone a joiner alone could not be drawn."""
    drawn = page(text, Style(12, scripts=scripts))
    assert all(picture(run).ink().any() for run in drawn.runs)
    assert drawn.missing <= len(text)


@needs_fonts
@pytest.mark.parametrize(
    ("text", "scripts", "shown"),
    [
        ("👍" * 30 + "🏽", "e", "👍👍👍⟨×29⟩👍🏽"),
        ("क" * 30 + "ि", "s", "ककक⟨×29⟩कि"),
        ("م\u200cم", "s", "م\u200cم"),
        ("م\u200cم", "e", "⟨U+0645⟩⟨U+200C⟩⟨U+0645⟩"),
    ],
)
def test_what_is_drawn_with_a_character_stays_with_it(text, scripts, shown):
    assert normalise(text, scripts) == shown
    assert lacking(text, scripts) == shown.count("U+")


@needs_fonts
@given(MIXED, st.sampled_from(("e", "s")))
def test_a_text_lacks_something_where_codes_are_drawn_and_nowhere_else(text, scripts):
    shown = visible(text, scripts)
    if "marks⟩" not in shown and text.count("\u200d") <= CHAIN:  # these are cut short, which is not counted
        assert (lacking(text, scripts) > 0) == ("⟨U+" in shown)


@needs_fonts
def test_the_key_of_a_zero_behind_capitals_is_still_a_key():
    """It begins with a zero, which beside capitals is drawn narrower."""
    assert page("A0\ufe0f\u20e3", Style(12, scripts="e")).lines() == ["⟪⟫A0\ufe0f\u20e3"]


def test_a_long_word_with_a_non_joiner_where_it_is_parted_is_not_joined_there():
    parts = units("مممممممممی\u200cخواهم")
    assert len(parts) == 2
    assert turned(parts, np.ones(2, np.int8)) == parts


@needs_fonts
def test_the_longest_emoji_in_use_is_drawn_as_one_and_a_joiner_that_joins_nothing_is_seen():
    kiss = "👩🏽\u200d❤\u200d💋\u200d👩🏾"
    assert units(visible(kiss, "e")) == [kiss]
    assert "⟨U+200D⟩" in visible("😀\u200d" * 20 + "😀", "e")


@needs_fonts
def test_emoji_are_drawn_at_the_pitch_of_the_page():
    assert fitted(Style(9, bold=True), ["done ✅"]) == Style(9, bold=True, scripts="e")
    assert page("done ✅ 🚀").lines() == ["⟪⟫done ✅ 🚀"]


def test_styles_with_other_scripts_have_names_and_bounds():
    styles = (Style(9, "narrow", True, "s", 14), Style(9, scripts="e"), Style(9, scripts="s"), Style(9))
    for style in (*styles, *(replace(style, gap=gap) for style in styles for gap in (1, 3))):
        assert Style.of(style.key) == style
    assert Style(9, "narrow", True, "s", 14).key == "narrow9bs14"
    assert Style(9, "narrow", True, "s", 14, gap=2).key == "narrow9bg2s14"
    for wrong in (
        {"gap": 4},
        {"gap": -1},
        {"scripts": "x"},
        {"raised": 14},
        {"scripts": "s", "raised": 8},
        {"scripts": "s", "raised": 99},
    ):
        with pytest.raises(ConfigError):
            Style(9, **wrong)


# --------------------------------------------------------------------------------------------------------- on the page


GOLDEN_CHINESE = """
|  ..
|  *:  :::::
|  *.  :::**
| ####:  .#.
| .* *.  #.
| :: #:::#::.
| *:.#.::#::.
| .##:   #
|  .#*   #
|  *:*:  #
| #:   :*#
|       ..
"""
GOLDEN_ARABIC = """
|            ..
|            :*
|            .#
|        *:  .#
|        .#: .#
|  .##*   .#:.#
|  #:.*:   .#*#   ..  :
|  .  :*    :##.  *:  #
|  :****   .*##:  #: .#
| :#::*: ###*.*###*###*
| #:     ...   ...  ..
| #.
| *:
| :*
"""


@needs_fonts
def test_a_chinese_character_looks_like_this():
    drawn = page("好", Style(12, scripts="s"))
    same(letters(pixels(drawn)[TOP : TOP + 12, drawn.x[2] // 4 : drawn.x[2] // 4 + 12]), GOLDEN_CHINESE)


@needs_fonts
def test_an_arabic_word_joins_its_letters_and_looks_like_this():
    drawn = page("سلام", Style(14, scripts="s"))
    same(letters(pixels(drawn)[TOP : TOP + 14, drawn.x[2] // 4 : drawn.x[2] // 4 + 22]), GOLDEN_ARABIC)


@needs_fonts
def test_shaping_joins_stacks_and_turns():
    alone = sum(picture(Run(char, "arabic")).advance for char in "سلام")
    assert picture(Run("سلام", "arabic")).advance < 0.9 * alone  # letters inside a word are narrower
    assert picture(Run("ที่", "thai")).advance == picture(Run("ท", "thai")).advance  # marks stand above
    assert picture(Run("क्ष", "devanagari")).advance < sum(picture(Run(c, "devanagari")).advance for c in "कष")
    begins, ends = (picture(Run(text, "arabic")).ink() for text in ("ب\u200d", "\u200dب"))
    assert begins.shape != ends.shape  # a word that goes on in the next unit is drawn as going on
    sans = face("sans")
    plain, turned_round = sans.drawn(int(sans.glyph[ord("(")]))[0], picture(Run("(", "mirror")).ink()
    assert np.array_equal(turned_round, plain[:, ::-1])
    assert not np.array_equal(turned_round, plain)


@needs_fonts
def test_lines_read_in_the_order_of_the_text_and_words_stand_from_the_right():
    drawn = page("مرحبا بالعالم")
    first, second = drawn.x[2], drawn.x[4]
    assert drawn.lines() == ["⟪⟫مرحبا بالعالم"]
    assert first > second  # the first word is the rightmost
    mixed = page("see أهلا وسهلا here (أهلا) 12, so that it is English")
    assert mixed.lines() == ["⟪⟫see أهلا وسهلا here (أهلا) 12, so that it is English"]
    assert mixed.x[2] < mixed.x[8] < mixed.x[6] < mixed.x[10]


@needs_fonts
def test_lines_of_chinese_end_between_any_characters_without_a_wrap_mark():
    """But for a full stop, which stays with its sentence."""
    lines = page(ZH * 20).lines()
    assert len(lines) > 5
    assert "".join(lines) == "⟪⟫" + ZH * 20
    assert not any(line[0] in "，。" for line in lines)


@needs_fonts
@pytest.mark.parametrize("text", [AR, HE, HI])
def test_lines_of_other_scripts_end_at_blanks(text):
    lines = page((text + " ") * 30, None, Sheet(1344, 448, 28)).lines()
    assert len(lines) > 3
    assert sum("¬" in line for line in lines) <= len(lines) / 2
    joined = "".join(line.replace("¬", "") if "¬" in line else f"{line} " for line in lines)
    assert joined.split() == ("⟪⟫" + (text + " ") * 30).split()


@needs_fonts
def test_a_cluster_is_never_parted():
    pages = layout([TurnText(1, "user", "น้ำ" * 900)], fitted(Style(10), [TH]), Sheet(300, 120))
    assert all(line.strip("⟪…⟫¬").replace("น้ำ", "") == "" for p in pages for line in p.lines())


@needs_fonts
def test_japanese_beside_kana_is_drawn_as_in_japan():
    fonts_of = {run.font for text in (JA, ZH, KO) for run in page(text).runs}
    assert fonts_of == {"ja", "zh", "ko"}
    assert not np.array_equal(picture(Run("直", "ja")).ink(), picture(Run("直", "zh")).ink())


MANY = st.text(
    st.one_of(st.sampled_from(ZH + AR + HE + HI + TH + JA + KO + EMOJI + " \n⟪↵⟨\u202e\u200d\u200c(12.)"),
              st.characters(exclude_categories=())), max_size=300,
)  # fmt: skip
SOME = st.builds(
    lambda size, face, bold, more: Style(size, face, bold, "s", size + more),
    st.integers(5, 20), st.sampled_from(("sans", "narrow", "wide")), st.booleans(), st.integers(0, 8),
)  # fmt: skip


@needs_fonts
@settings(max_examples=60, deadline=None)
@given(st.lists(MANY, min_size=1, max_size=4), SOME, st.integers(448, 700), st.integers(40, 400))
def test_whatever_the_script_every_character_has_its_place_and_no_ink_leaves_the_box(texts, style, width, height):
    sheet = Sheet(width, height, 28)
    turns = [TurnText(n, "user", text, "2024-01-02", text[:9]) for n, text in enumerate(texts, 1)]
    pages = layout(turns, style, sheet)
    assert sum(p.chars for p in pages) == sum(map(len, texts))
    assert measure(turns, style, sheet) == [(p.first, p.last, p.width, p.height) for p in pages]
    for drawn in pages:
        image = pixels(drawn)
        assert (image[:, drawn.left - 2] == RULE_GREY).all()
        assert (image[:, drawn.left - 1] == 255).all()
        assert (image[:TOP, drawn.left :] == 255).all()
        assert (image[:, -MARGIN + 1 :] == 255).all()
        assert (image[TOP + (int(drawn.line.max()) + 1) * style.pitch :, drawn.left :] == 255).all()
        spaces = drawn.glyphs == face(style.face).glyph[ord(" ")]
        places = drawn.line[~spaces].astype(np.int64) * drawn.width + (drawn.x[~spaces] >> 2)
        assert len(np.unique(places)) == len(places)


@needs_fonts
@settings(max_examples=40, deadline=None)
@given(MANY)
def test_every_run_leaves_ink_inside_its_advance(text):
    for run in page(text, Style(10, scripts="s")).runs:
        drawn = picture(run)
        assert drawn.ink().any(), run
        assert drawn.left + drawn.width <= drawn.advance
        assert drawn.top + len(drawn.rows) <= CELL
        assert drawn.advance * 5 * PHASES // CELL >= PHASES  # a pixel at least, in the smallest type


@needs_fonts
def test_content_in_another_script_leaves_the_gutter_alone():
    gutters = [pixels(drawn := page(text, Style(12, scripts="s")))[:14, : drawn.left] for text in ("", AR, ZH, HI)]
    assert all(np.array_equal(one, other) for one, other in pairwise(gutters))


@needs_fonts
def test_equal_pages_have_equal_keys_and_another_run_another_key():
    one, two, other = (page(text, Style(10, scripts="s")) for text in ("你好", "你好", "你们"))
    assert one == two
    assert one != other
    assert one != page("好你", Style(10, scripts="s"))


# -------------------------------------------------------------------------------------------------- the same every time


@needs_fonts
def test_the_renderer_names_fonts_and_libraries_only_where_they_draw():
    assert renderer(Style(9)) == RENDERER
    told = renderer(Style(9, scripts="s"))
    assert told.startswith(RENDERER + "-fonts")
    for library in ("pil", "freetype2", "raqm", "harfbuzz"):
        assert library in told
    assert renderers() != RENDERER


@needs_fonts
def test_bytes_are_the_same_in_another_process_whatever_was_drawn_before():
    code = (
        "import hashlib, sys; from optical_memory.pages import *\n"
        "text = sys.argv[1]; turns = [TurnText(1, 'user', text)]\n"
        "drawn = layout(turns, fitted(Style(9), [text]), Sheet(448, 448, 28))[0]\n"
        "print(hashlib.sha256(render_page(drawn)).hexdigest(), renderer(drawn.style))"
    )
    text = ZH + AR + HE + HI + TH + JA + KO + EMOJI
    render_page(page(EMOJI + KO + "another page before"))
    here = hashlib.sha256(render_page(page(text, fitted(Style(9), [text])))).hexdigest()
    told = subprocess.run([sys.executable, "-c", code, text], capture_output=True, text=True, check=True).stdout
    assert told.split() == [here, renderer(fitted(Style(9), [text]))]


# ---------------------------------------------------------------------------------------------------- fonts as files


@needs_fonts
def test_without_raqm_only_what_needs_no_shaping_is_drawn():
    bare = Fonts([*set(fonts().files.values())], raqm=False)
    assert set(bare.files) == {"han"}
    assert bare.which[ord("你")] >= 0
    assert bare.which[ord("م")] < 0


def test_what_is_not_a_font_draws_nothing(tmp_path):
    broken = [tmp_path / f"{n}.ttf" for n in range(4)]
    collections = (b"ttcf\0\1\0\0\xff\xff\xff\xff", b"ttcf\0\1\0\0\0\0\0\0")  # of too many fonts, and of none
    for file, raw in zip(broken, (b"", b"no font at all", *collections), strict=True):
        file.write_bytes(raw)
    assert not Fonts([*broken, tmp_path / "absent.ttf"], raqm=True).files


@needs_fonts
def test_fonts_that_are_asked_for_come_first(tmp_path):
    copy = tmp_path / "mine.ttf"
    copy.write_bytes(fonts().files["thai"].read_bytes())
    code = "from optical_memory.pages.fonts import fonts; print(fonts().files['thai'])"
    env = {"OPTICAL_MEMORY_FONTS": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert run.stdout.strip() == str(copy)


def test_pages_are_imported_without_pillow_and_without_reading_fonts():
    code = "import sys, optical_memory.pages as p; from optical_memory.pages import fonts; print('PIL' in sys.modules, fonts.fonts.cache_info().currsize)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "0"]


# ---------------------------------------------------------------------------------------------- conversations at hand


@needs_fonts
def test_the_multilingual_conversations_have_codes_only_for_what_cannot_be_seen():
    """(That no glyph is missing in the fonts is among the slow tests.)"""
    for file in sorted((data_dir() / "multilingual").glob("*.jsonl")):
        text = "".join(str(json.loads(line).get("content") or "") for line in file.read_text("utf-8").splitlines())
        codes = {char for char in set(text) if lacking(char, "s")}
        assert all(unicodedata.category(char) in {"Cc", "Cf"} for char in codes), (file.name, codes)
        assert bool(fitted(Style(9), [text]).scripts) == bool(lacking(text) - lacking(text, "s"))


@needs_fonts
@given(MANY)
def test_drawn_text_has_a_glyph_or_a_font_for_every_unit(text):
    atlas, which = face("sans").glyph, fonts().which
    for part in units(normalise(text, "s")):
        first = ord(part[0])
        assert len(part) > 1 or (first <= 0xFFFF and atlas[first] >= 0) or which[first] >= 0, part
