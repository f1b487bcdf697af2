"""What random threads are made of, for the tests that make them: models of every kind, and words that are hard on a memory."""

from __future__ import annotations

MODELS = ("ocr:tesseract", "claude-opus-5", "gpt-5.6-sol", "gpt-4o", "gemini-3-pro", "gpt-3.5-turbo")
"""A reader by OCR, providers that count by patches, by tiles and by a fixed price, and a model that cannot see."""

WORDS = (
    *("the", "cat", "sat", "on", "a", "mat", "never", "always", "item", "1.", "\n-"),
    *("id-4471", "2026-01-02", "$12.50", "https://a.example/b?c=d", "→", "é", "你好"),
)
"""Plain words, words of instructions and lists, exact strings, and letters that the atlas draws, or does not."""
