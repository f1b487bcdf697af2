"""What an image costs and how it is seen, against what providers published and billed."""

from __future__ import annotations

import io
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from optical_memory.cost import image_size, image_tokens, served_size
from optical_memory.errors import ConfigError
from tests.cost.reference import FAMILIES

CLAUDE_BOTH = {
    (256, 256): 100,
    (512, 512): 361,
    (768, 768): 784,
    (1024, 1024): 1369,
    (1280, 720): 1196,
}
VECTORS = {  # model, level -> size -> tokens: documented, measured in bills, or recomputed by two people
    ("claude-opus-5", None): {
        **CLAUDE_BOTH,
        (200, 200): 64,
        (1000, 1000): 1296,
        (1092, 1092): 1521,
        (1920, 1080): 2691,
        (2000, 1500): 3888,
        (3840, 2160): 4784,
        (1932, 1932): 4761,
        (1933, 1933): 4761,
        (1344, 1904): 3264,
        (1988, 1876): 4757,
    },
    ("claude-sonnet-4-5", None): {
        **CLAUDE_BOTH,
        (1920, 1080): 1560,
        (2000, 1500): 1564,
        (1092, 1120): 1560,
        (1372, 896): 1568,
        (1568, 784): 1568,
    },
    ("gpt-5.4", "high"): {(1024, 1024): 1229, (2048, 2048): 3000, (1280, 1920): 2880, (1248, 2048): 2996},
    ("gpt-6-astra", None): {
        (256, 256): 77,
        (512, 512): 308,
        (1024, 1024): 1229,
        (1920, 1080): 2448,
        (2560, 1440): 4320,
        (4032, 3024): 14364,
    },
    ("gpt-5.6-sol", "original"): {(1024, 1024): 1229, (2560, 1440): 4320, (4032, 3024): 14364},
    ("gpt-6-astra", "high"): {(2560, 1440): 2931, (3840, 2160): 2931, (4032, 3024): 2942},
    ("gpt-5.5", "auto"): {(4032, 3024): 11868},
    ("gpt-5.6-terra", "low"): {(640, 480): 231, (1280, 720): 173},
    ("gpt-5.2", None): {(2048, 2048): 4916, (4032, 3024): 3687},
    ("gpt-4.1-mini", None): {(1024, 1536): 2489},
    ("gpt-4o", "high"): {(512, 512): 255, (512, 2048): 765, (1024, 1024): 765, (2048, 4096): 1105},
    ("gpt-4o", "low"): {(4096, 8192): 85},
    ("gpt-4.1", None): {(512, 2048): 765},
    ("gpt-5", None): {
        (512, 512): 210,
        (512, 2048): 630,
        (1024, 1024): 630,
        (768, 2048): 1190,
        (1920, 1080): 910,
        (513, 2048): 1190,
    },
    ("gpt-5.1", "high"): {(512, 2048): 630},
    ("o3", None): {(512, 2048): 675},
    ("gpt-4o-mini", None): {(512, 512): 8500},
    ("gemini-3-pro", None): {
        (100, 100): 1089,
        (256, 256): 1089,
        (2048, 2048): 1089,
        (1920, 1080): 1100,
        (4032, 3024): 1064,
        (1568, 728): 1078,
        (768, 1932): 1113,
        (768, 512): 1080,
        (2048, 512): 1056,
        (512, 2048): 1056,
        (4096, 512): 1034,
        (1344, 1920): 1120,
        (1536, 1680): 1120,
    },
    ("gemini-3.6-flash", "low"): {(672, 960): 280, (1024, 1024): 256},
    ("gemini-3.6-flash", "MEDIA_RESOLUTION_MEDIUM"): {(960, 1344): 560, (1024, 1024): 529},
    ("gemini-3.8-flash", "ultra_high"): {(1920, 2688): 2240, (1024, 1024): 2209},
    ("gemini-2.0-flash", None): {
        (384, 384): 258,
        (960, 540): 1548,
        (1536, 1536): 1032,
        (3072, 3072): 4128,
    },
    ("qwen2.5-vl-72b-instruct", None): {
        (324, 324): 144,
        (400, 400): 196,
        (700, 700): 625,
        (864, 864): 961,
        (1000, 1000): 1296,
        (1500, 1500): 2916,
        (1920, 1080): 2691,
    },
    ("qwen3-vl-235b", None): {(864, 864): 729, (1024, 1024): 1024, (1024, 1536): 1536},
    ("mistral-small-3.2", None): {
        (256, 256): 110,
        (480, 480): 342,
        (864, 864): 992,
        (1540, 1540): 3080,
        (1540, 840): 1680,
    },
    ("kimi-k2.5", None): {(1024, 1024): 1369, (1792, 1792): 4096, (3584, 3584): 4096},
    ("internvl3-8b", None): {(448, 448): 256, (896, 896): 1280, (1344, 1792): 3328, (1920, 1080): 2304},
    ("minimax-m3-vl", None): {(672, 672): 576},
    ("gemma-3-27b", None): {(896, 896): 256, (4000, 300): 256},
    ("gemma-4-12b", None): {(672, 960): 280},
    ("gemma-4-12b", "1120"): {(1344, 1920): 1120},
    ("llama-4-scout", None): {(336, 336): 147, (672, 672): 4 * 145 + 147},
    ("deepseek-ocr-2", None): {(768, 768): 400},
    ("gemini-flash-latest", None): {(1344, 1920): 1120},
    ("phi-4-multimodal", None): {(448, 448): 545},
    ("deepseek-ocr", "tiny"): {(512, 512): 73},
    ("deepseek-ocr", None): {(1024, 1024): 273},
    ("deepseek-ocr", "large"): {(1280, 1280): 421},
    ("nova-pro", None): {
        (900, 450): 800,
        (900, 900): 1300,
        (1400, 900): 1800,
        (1800, 900): 2400,
        (1300, 1300): 2600,
    },
}
CASES = [(m, d, size, n) for (m, d), sizes in VECTORS.items() for size, n in sizes.items()]
SEEN = [
    ("claude-opus-5", None, (3840, 2160), (2576, 1449)),
    ("claude-sonnet-4-5", None, (1920, 1080), (1456, 819)),
    ("claude-sonnet-4-5", None, (1075, 1520), (924, 1307)),
    ("gpt-5.4", "high", (2048, 2048), (1600, 1600)),
    ("gpt-4o", None, (1024, 1024), (768, 768)),
    ("gpt-4o", None, (512, 2048), (512, 2048)),
    ("gemini-3-pro", None, (672, 960), (1344, 1920)),
    ("gemini-3-pro", "low", (672, 960), (672, 960)),
]


@pytest.mark.parametrize(("model", "detail", "size", "tokens"), CASES)
def test_every_published_count_is_met(model, detail, size, tokens):
    assert image_tokens(model, *size, detail) == tokens


@pytest.mark.parametrize(("model", "detail", "size", "seen"), SEEN)
def test_the_size_that_the_model_sees_is_the_published_one(model, detail, size, seen):
    assert served_size(model, *size, detail) == seen


def test_an_old_budget_of_1536_patches_shrinks_as_documented():
    """gpt-5-mini counts 1.2 tokens a patch: 1,452 patches for 1800x2400 as in the old example."""
    assert served_size("gpt-5-mini", 1800, 2400) == (1056, 1408)
    assert image_tokens("gpt-5-mini", 1800, 2400) == -(-1452 * 12 // 10)


def test_nano_bills_one_and_a_half_tokens_a_patch():
    assert image_tokens("gpt-5-nano", 1024, 1024) - image_tokens("gpt-5-nano", 512, 512) == 1152


@pytest.mark.parametrize(("model", "size", "billed"), [("grok-4.5", (768, 336), 268), ("grok-4.6", (764, 980), 748)])
def test_a_provider_without_a_published_grid_is_counted_at_or_a_little_above_its_bills(model, size, billed):
    assert billed <= image_tokens(model, *size) <= 1.06 * billed


def test_deepseek_is_capped_where_its_guide_says():
    assert image_tokens("deepseek-flash", 4000, 4000) == 1024


sides = st.integers(1, 9000)


@given(st.sampled_from(sorted(FAMILIES, key=str)), sides, sides)
@settings(max_examples=600, deadline=None)
def test_the_fast_count_agrees_with_the_rule_written_out_slowly(family, width, height):
    assert image_tokens(family[0], width, height, family[1]) == FAMILIES[family](width, height)


@given(sides, sides)
@settings(max_examples=200, deadline=None)
def test_an_unknown_model_is_never_counted_below_the_models_in_use(width, height):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        guessed = image_tokens("some-model-of-next-year", width, height)
    for model in ("claude-opus-5", "claude-sonnet-4-5", "gpt-5.4", "gpt-4o", "gpt-5", "gemini-3-pro"):
        assert guessed >= image_tokens(model, width, height)


@given(st.sampled_from(["claude-opus-5", "gpt-5.6-sol", "gpt-4o", "kimi-k2.5", "mistral-small"]), sides, sides)
@settings(max_examples=300, deadline=None)
def test_no_model_that_only_shrinks_ever_sees_more_than_was_sent(model, width, height):
    w, h = served_size(model, width, height, "high")
    assert 1 <= w <= width
    assert 1 <= h <= height


@pytest.mark.parametrize("size", [(0, 10), (10, 0), (-5, 5)])
def test_a_size_without_area_is_refused_with_both_numbers(size):
    with pytest.raises(ConfigError, match=f"{size[0]}x{size[1]}"):
        image_tokens("claude-opus-5", *size)


def test_a_level_that_the_model_lacks_is_refused_with_those_it_has():
    with pytest.raises(ConfigError, match=r"'sharp'.*low, high, original"):
        image_tokens("gpt-5.4", 100, 100, "sharp")


def test_an_image_that_openai_refuses_is_refused_here():
    with pytest.raises(ConfigError, match="30000"):
        image_tokens("gpt-6-sol", 60_000, 60_000)


def test_a_model_that_cannot_see_says_so():
    with pytest.raises(ConfigError, match=r"gpt-3\.5-turbo.*cannot see"):
        image_tokens("gpt-3.5-turbo", 100, 100)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("GIF", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {}),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (640, 31), (17, 500)])
def test_a_size_is_read_from_the_header_of_every_format_that_providers_take(kind, options, size):
    file = io.BytesIO()
    Image.new("RGB", size, "white").save(file, kind, **options)
    assert image_size(file.getvalue()) == size


def test_a_size_is_read_from_an_extended_webp_and_from_a_jpeg_with_metadata():
    webp, jpeg = io.BytesIO(), io.BytesIO()
    Image.new("RGBA", (300, 20), (0, 0, 0, 0)).save(webp, "WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0")
    Image.new("L", (300, 20)).save(jpeg, "JPEG", exif=b"Exif\0\0" + b"\0" * 3000)
    assert image_size(webp.getvalue()) == image_size(jpeg.getvalue()) == (300, 20)


@given(st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"RIFF"]), st.binary(max_size=60))
def test_no_bytes_make_the_header_reader_fail(magic, rest):
    found = image_size(magic + rest)
    assert found is None or len(found) == 2
