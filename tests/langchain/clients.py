"""Real clients of the providers, pointed at a server on loopback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.langchain.servers.serving import Server

KEY = "no-key"


def opus(server: Server, **more: Any) -> Any:
    """Claude Opus 4.5 that thinks, in the older way: the newest answer of a tool round must begin with its thinking."""
    from langchain_anthropic import ChatAnthropic

    thinking = {"type": "enabled", "budget_tokens": 1024}
    told = {"model": "claude-opus-4-5", "max_tokens": 4096, "thinking": thinking} | more
    return ChatAnthropic(api_key=KEY, base_url=server.url, max_retries=0, **told)


def adaptive(server: Server, **more: Any) -> Any:
    """Claude Opus 5, whose thinking is adaptive and bound to its prefix."""
    return opus(server, **({"model": "claude-opus-5", "thinking": {"type": "adaptive"}} | more))


def chat(server: Server, **more: Any) -> Any:
    """OpenAI's Chat Completions."""
    from langchain_openai import ChatOpenAI

    told = {"model": "gpt-5.2", "use_responses_api": False, "stream_usage": True} | more
    return ChatOpenAI(api_key=KEY, base_url=f"{server.url}/v1", max_retries=0, **told)


def responses(server: Server, **more: Any) -> Any:
    """OpenAI's Responses, with reasoning."""
    return chat(server, **({"model": "gpt-5.4", "use_responses_api": True, "reasoning": {"effort": "low"}} | more))


def gemini(server: Server, **more: Any) -> Any:
    """Gemini 3."""
    from langchain_google_genai import ChatGoogleGenerativeAI

    told = {"model": "gemini-3-pro-preview", "max_retries": 1} | more
    return ChatGoogleGenerativeAI(api_key=KEY, base_url=server.url, **told)


CLIENTS: dict[str, Callable[..., Any]] = {
    "anthropic": opus, "anthropic-adaptive": adaptive, "openai-chat": chat, "openai-responses": responses, "gemini": gemini,
}  # fmt: skip
MODELS = {
    "anthropic": "claude-opus-4-5", "anthropic-adaptive": "claude-opus-5", "openai-chat": "gpt-5.2",
    "openai-responses": "gpt-5.4", "gemini": "gemini-3-pro-preview",
}  # fmt: skip
