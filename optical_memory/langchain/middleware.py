"""`OpticalMemoryMiddleware`: the model sees its memory of a conversation; what the graph stores stays as it is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any

from optical_memory.errors import BudgetError, ConfigError, MissingExtraError

try:
    from langchain.agents.middleware import AgentMiddleware
    from langchain.agents.middleware.types import AgentState, ModelRequest, ModelResponse, ToolCallRequest
except ImportError as error:
    raise MissingExtraError("langchain", "agents") from error

from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import BaseMessage
from langchain_core.tools import BaseTool

from optical_memory.cost import Profile, known
from optical_memory.langchain.endings import Endings
from optical_memory.langchain.health import PAUSE, Health
from optical_memory.langchain.pairs import cut, paired, repairs, sendable, trimmed
from optical_memory.langchain.sizes import Reserved, message_counter
from optical_memory.langchain.thinking import Bonds, without_thinking
from optical_memory.langchain.tools import TOKENS, RecallMemory, checked, messages_in
from optical_memory.langchain.where import Place, Subagents, Thread, is_subagent, place
from optical_memory.langchain.wire import Cache, family, model_name, wired
from optical_memory.memory import Context, OpticalMemory
from optical_memory.memory.assemble import stripped
from optical_memory.memory.rounds import answered, rounds
from optical_memory.messages import injected

try:  # keep our spans from repeating the whole history (langchain 1.4 and newer)
    from langchain.agents.middleware import TracePolicy, omit_payload

    _TRACE: Any = TracePolicy(process_inputs=omit_payload)
except ImportError:
    _TRACE = None

Handler = Callable[[ModelRequest[Any]], ModelResponse[Any]]
AsyncHandler = Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]

OVERFLOW_SHARE = 0.7  # of the budget: what is tried once where the model says that its input was too long
WINDOW_SHARE = 0.95  # of the input that a model takes by its own profile: counts are not exact to the token
CUT_SHARE = (
    2  # a newest message or tool round that does not fit is cut to a half of the room, the rest is for the memory
)

CUT = "the newest message or tool result does not fit into the budget: the model is shown its head and tail"
SUBAGENT = 'an agent inside another graph is not remembered; pass subagents="isolate" or thread='
NO_THREAD = 'no thread id: the memory lasts for this run; pass {"configurable": {"thread_id": ...}} or thread='
SUMMARY = "SummarizationMiddleware removes history before the memory sees it: use one of the two"
PREVIOUS = "use_previous_response_id sends only the newest messages, and the memory has no effect: switch it off"
REWRITTEN = (
    "other middleware rewrites the model's answers: what was remembered of one has been erased, and answers are remembered "
    "with the next call from now on; OpticalMemoryAtEndMiddleware never stores what is rewritten"
)


@dataclass(frozen=True, slots=True)
class Call:
    """One model call: where it belongs, its messages with complete pairs, and how its context is to be made."""

    place: Place
    messages: list[BaseMessage]
    reserved: int
    model: str | None
    vision: bool | None
    query: str | None
    budget: int | None
    profile: Profile


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it goes to the model, its messages before they took a provider's form, and the context in them.

    Without a context they are plain messages; without a call the memory has no part in it. `stored` says that the memory
    has the call's messages, so that the answer has its place behind them.
    """

    request: ModelRequest[Any]
    messages: list[BaseMessage]
    call: Call | None = None
    context: Context | None = None
    stored: bool = False


class OpticalMemoryMiddleware(AgentMiddleware[Any, Any, Any]):
    """Gives an agent the memory: `create_agent(..., middleware=[OpticalMemoryMiddleware(memory)])`.

    Each model call sees the memory's context instead of the whole history, which stays in the graph's state as it is;
    nothing of ours is put there. It fails open: an error of ours is logged (logger "optical_memory") and the plain
    messages go to the model, trimmed to the budget; what was missed is remembered at the next call.

    thread            the thread's name, or a callable from the runtime to it; by default the run's `thread_id`
    recall_tool       offer the tool `recall_memory` to the model
    automatic_recall  bring old turns that the newest message asks for back by themselves (`MemoryConfig.recall`)
    observe           note what the provider billed for each call, beside what was predicted
    subagents         "skip": an agent inside another graph keeps its plain messages; "isolate": a memory for its run
    cache             how long Anthropic keeps what it has read ("5m", "1h"). Breakpoints are set where the host has left
                      room for them, and live as long as the host's own. GPT-5.6 and later get breakpoints too, and a
                      `prompt_cache_key` for each thread if the host gives none. None sets none of these
    name              the middleware's name in the graph; deepagents puts one that is named "SummarizationMiddleware" in the
                      place of its own
    strict            raise errors of ours instead of failing open
    pause             seconds for which a store that failed is left alone

    With the memory's `mode="observe"` each call is remembered, planned and priced, and goes out as it came, without the
    recall tool. A memory without a model takes over that of the first call, if its costs are known. An answer is
    remembered as the model gives it. Where other middleware rewrites answers (personal data), the thread's next call erases
    what was taken out, unless it goes on from an earlier point of the talk; `OpticalMemoryAtEndMiddleware` never stores it.

    Without a thread id the memory lasts for one run. Put it after retry, fallback and routing middleware, so that it
    sees the model that is called, and before prompt caching. Not together with SummarizationMiddleware, which destroys
    the history.
    """

    trace_policy = _TRACE
    answers_at_once = True  # remember an answer when the model gives it, not when the run has ended

    def __init__(
        self, memory: OpticalMemory, *, thread: Thread = None, recall_tool: bool = True, automatic_recall: bool = True,
        observe: bool = True, subagents: Subagents = "skip", cache: Cache = "5m", name: str | None = None,
        strict: bool = False, pause: float = PAUSE,
    ) -> None:  # fmt: skip
        super().__init__()
        checked(memory)
        if cache not in ("5m", "1h", None):
            raise ConfigError(f'cache={cache!r}: pass "5m", "1h" or None')
        if subagents not in ("skip", "isolate"):
            raise ConfigError(f'subagents={subagents!r}: pass "skip" or "isolate"')
        self.memory, self._name = memory, name
        self._thread, self._subagents = thread, subagents
        self._automatic_recall, self._observes, self._strict, self._cache = automatic_recall, observe, strict, cache
        self._health, self._reserved, self._bonds = Health(pause), Reserved(), Bonds()
        self._endings = Endings(memory, self.answers_at_once)
        recall = RecallMemory(memory, self._in_tool, TOKENS, self._health)
        self._observing = memory.config.mode == "observe"
        self.tools: Sequence[BaseTool] = [recall] if recall_tool and not self._observing else []

    @property
    def name(self) -> str:
        """The middleware's name in the graph."""
        return self._name or super().name

    # ----------------------------------------------------------------------------------------- hooks

    def wrap_model_call(self, request: ModelRequest[Any], handler: Handler) -> ModelResponse[Any]:
        """Call the model with the memory's context; once more with a smaller one where it was too long for the model."""
        sent = self._prepared(request)
        try:
            try:
                response = handler(sent.request)
            except ContextOverflowError:
                if self._observing or sent.call is None:
                    raise
                sent = self._prepared(request, OVERFLOW_SHARE)
                response = handler(sent.request)
        except BaseException:
            self._abandoned(request.runtime, request.messages)
            raise
        self._answered(sent, response)
        return response

    async def awrap_model_call(self, request: ModelRequest[Any], handler: AsyncHandler) -> ModelResponse[Any]:
        """`wrap_model_call`; what is ours runs in a worker thread."""
        try:
            sent = await asyncio.to_thread(self._prepared, request)
            try:
                response = await handler(sent.request)
            except ContextOverflowError:
                if self._observing or sent.call is None:
                    raise
                sent = await asyncio.to_thread(self._prepared, request, OVERFLOW_SHARE)
                response = await handler(sent.request)
        except BaseException as error:
            await _aside(error, self._abandoned, request.runtime, request.messages)
            raise
        await asyncio.to_thread(self._answered, sent, response)
        return response

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Any]) -> Any:
        """Run the tool; an error that ends a run without a thread takes along what was remembered for it."""
        try:
            return handler(request)
        except BaseException:
            self._abandoned(request.runtime, messages_in(request.state))
            raise

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
    ) -> Any:
        """`wrap_tool_call`; what is ours runs in a worker thread."""
        try:
            return await handler(request)
        except BaseException as error:
            await _aside(error, self._abandoned, request.runtime, messages_in(request.state))
            raise

    # ----------------------------------------------------------------------------------------- one call

    def _prepared(self, request: ModelRequest[Any], share: float = 1.0) -> Sent:
        """The request with the context in place of its messages; with trimmed plain messages where that fails."""
        try:
            call = self._call(request, share)
        except Exception as error:
            self._failed(error, "a model call goes out unchanged")
            return Sent(request, list(request.messages))
        if call is None:
            return Sent(request, list(request.messages))
        try:
            return self._with_memory(request, call)
        except Exception as error:
            if self._observing:
                self._failed(error, "a call was not observed")
                return Sent(request, list(request.messages))
            self._failed(error, "plain messages, trimmed to the budget, go to the model")
            return self._without_memory(request, call, error)

    def _with_memory(self, request: ModelRequest[Any], call: Call) -> Sent:
        try:
            context = self._context(call)
        except BudgetError:
            return self._shortened(request, call)
        if self._observing:
            return Sent(request, list(request.messages), call, context, stored=True)
        return self._wired(request, call, context.messages, context)

    def _without_memory(self, request: ModelRequest[Any], call: Call, reason: Exception) -> Sent:
        """The request with trimmed plain messages; unchanged where even trimming fails."""
        try:
            plain = self._wired(request, call, self._plain(call, reason), None)
            return replace(plain, stored=isinstance(reason, BudgetError))  # it comes after they were remembered
        except Exception as error:
            self._failed(error, "a model call goes out unchanged")
            return Sent(request, list(request.messages))

    def _shortened(self, request: ModelRequest[Any], call: Call) -> Sent:
        """The newest message or tool round cut to half of the room, behind the context of what came before it.

        Raises BudgetError where the rest does not fit beside it. This context is a preview that no plan keeps, so only
        reasoning is left in it that is known to be bound to just these messages.
        """
        newest, count = rounds(call.messages)[-1], message_counter(call.profile)
        room = (call.budget or self.memory.budget) - call.reserved
        numbers = self._numbers(call)
        short = cut(answered(newest), room // CUT_SHARE, count, lambda m: numbers.get(id(m)))
        before = call.messages[: len(call.messages) - len(newest)]
        first = numbers.get(id(newest[0]))
        context = self.memory.project(
            before, thread=call.place.thread, model=call.model, budget=call.budget, vision=call.vision,
            reserved=call.reserved + count(short), upto=first and first - 1,
        )  # fmt: skip
        self._health.once("cut", CUT)
        return self._wired(request, call, [*context.messages, *short], context, trusting=False)

    def _wired(
        self, request: ModelRequest[Any], call: Call, messages: Sequence[BaseMessage], context: Context | None,
        trusting: bool = True,
    ) -> Sent:  # fmt: skip
        """The request with these messages in the form of its provider, without reasoning that is bound to others."""
        bound = binds(request.model)
        told = sendable(messages, thoughts=bound)
        if bound:  # what was reasoning alone may be empty then
            told = sendable(self._bonds.loosened(_base(request), told, trusting), thoughts=True)
        made = wired(
            request.override(model=without_thinking(request, told)), told, call.profile, self._cache, call.place.thread
        )
        return Sent(made, told, call, context, stored=context is not None)

    def _call(self, request: ModelRequest[Any], share: float) -> Call | None:
        """What is asked; None where the memory has no part in this call."""
        where = place(self._thread, self._subagents, request.runtime, request.messages)
        self._warn(request, where)
        if where is None or not request.messages:
            return None
        messages = paired(request.messages)
        named, window = model_name(request.model), self._window(request.model)
        if self.memory.config.model is None and known(named):
            self.memory.adopt(named)
        model = other_model(self.memory.config.model, request.model)
        if (
            model is None
        ):  # a plan for another budget than the memory's own is only kept beside: no page is sealed for it
            self.memory.adopt(window=window)
        budget = int(min(window or self.memory.budget, self.memory.budget) * share)
        settings = self.memory.settings(model)
        each = settings.profile.message_overhead + settings.profile.call_overhead + 20
        reserved = self._reserved.tokens(request, settings) + repairs(messages, each, budget)
        last = messages[-1]
        return Call(
            where, messages, reserved, model, _sees(request.model),
            str(last.text) if self._automatic_recall and last.type == "human" and not injected(last) else None,
            budget if budget != self.memory.budget else None, settings.profile,
        )  # fmt: skip

    def _context(self, call: Call) -> Context:
        self._health.check()
        if self._endings.began(call.place, call.messages):
            self._health.once("rewritten", REWRITTEN)
        context = self.memory.project(
            call.messages, thread=call.place.thread, query=call.query, model=call.model, budget=call.budget,
            reserved=call.reserved, vision=call.vision,
        )  # fmt: skip
        self._health.well()
        return context

    def _plain(self, call: Call, error: Exception) -> list[BaseMessage]:
        """The newest messages that fit into the budget; a newest result that is too long shows its head and tail."""
        room = (call.budget or self.memory.budget) - call.reserved
        numbers = self._numbers(call) if isinstance(error, BudgetError) else {}
        count = message_counter(call.profile)
        messages, shortened = trimmed(call.messages, room, count, lambda m: numbers.get(id(m)))
        if shortened:
            self._health.once("cut", CUT)
        return [stripped(message) for message in messages]  # reasoning is bound to a prefix that is not there

    def _numbers(self, call: Call) -> dict[int, int | None]:
        """The turn of each message, by the message's identity; all are stored already."""
        try:
            found = self.memory.remember(call.place.thread, call.messages).turns
        except Exception as error:
            self._failed(error, "a cut message has no number")
            return {}
        return {id(message): number for message, number in zip(call.messages, found, strict=True)}

    def _abandoned(self, runtime: Any, messages: Sequence[Any]) -> None:
        """A model or tool failed: what was remembered for this run alone goes, since nobody may come back to it.

        A retry or fallback outside of us calls again with all messages, and they are remembered anew.
        """
        try:
            where = place(self._thread, self._subagents, runtime, messages)
            if where is not None and where.ephemeral and not self._health.resting:
                self._endings.left(where.thread)
        except Exception as error:
            self._health.failed(error, "what a failed run left behind is not removed")

    def _answered(self, sent: Sent, response: Any) -> None:
        """The model has answered: note what that is bound to and what was billed, and remember a run's last answer."""
        whole = getattr(response, "model_response", response)  # a layer below may have added a command
        answers = [m for m in (getattr(whole, "result", None) or [whole]) if isinstance(m, BaseMessage)]
        self._bonds.note(_base(sent.request), sent.messages, answers)
        if sent.call is None or not sent.stored or self._health.resting:
            return
        try:
            self._endings.ended(sent.call.place, sent.call.messages, answers)
        except Exception as error:
            self._failed(error, "an answer is remembered with the next call")
        if sent.context is not None and self._observes and not sent.call.place.ephemeral:
            self._observed(sent.context, answers)

    def _observed(self, context: Context, answers: Sequence[BaseMessage]) -> None:
        """Note what was billed, where the provider says so."""
        try:
            usage = next((u for m in reversed(answers) if (u := getattr(m, "usage_metadata", None))), None)
            if usage:
                self.memory.observe(usage, context)
        except ConfigError as error:  # the provider's figures, not an error of ours: strict or not, it is only logged
            self._health.once("usage", "the usage of a call was not noted: %s (told once)", error)
        except Exception as error:
            self._failed(error, "the usage of a call was not noted")

    # ----------------------------------------------------------------------------------------- around it

    def _failed(self, error: Exception, what: str) -> None:
        """Called in an `except`: raise again when strict, else take note and go on."""
        if self._strict and not isinstance(error, BudgetError):
            raise error
        self._health.failed(error, what)

    def _in_tool(self, runtime: Any) -> str | None:
        """The thread in which a tool of this agent runs."""
        found = place(self._thread, self._subagents, runtime, messages_in(getattr(runtime, "state", None)))
        return found.thread if found else None

    def _window(self, model: Any) -> int | None:
        """What may go into the model by its own profile, in tokens; None if it does not say."""
        profile = getattr(model, "profile", None) or {}
        window = profile.get("max_input_tokens")
        return int(window * WINDOW_SHARE) if isinstance(window, int) and window > 0 else None

    def _warn(self, request: ModelRequest[Any], where: Place | None) -> None:
        """Say once what keeps the memory from working as it should."""
        inside = is_subagent(request.runtime)
        if where is None and inside:
            self._health.once("subagent", SUBAGENT)
        elif where is None or (where.ephemeral and not inside):
            self._health.once("no thread", NO_THREAD)
        if any(getattr(m, "additional_kwargs", {}).get("lc_source") == "summarization" for m in request.messages):
            self._health.once("summary", SUMMARY)
        if getattr(request.model, "use_previous_response_id", False):
            self._health.once("previous", PREVIOUS)


class OpticalMemoryAtEndMiddleware(OpticalMemoryMiddleware):
    """The same, but answers are remembered when the run has ended, from the graph's state.

    For agents whose other middleware rewrites answers: what it takes out is never stored. It costs one checkpoint a run.
    """

    answers_at_once = False

    def after_agent(self, state: AgentState[Any], runtime: Any) -> dict[str, Any] | None:
        """Remember what came after the last model call's messages: the answer."""
        try:
            messages = messages_in(state)
            where = place(self._thread, self._subagents, runtime, messages)
            if where is not None and messages and not where.ephemeral:
                self._health.check()
                self.memory.remember(where.thread, paired(messages))
                self._health.well()
        except Exception as error:
            self._failed(error, "the end of a run is remembered with the next call")
        return None

    async def aafter_agent(self, state: AgentState[Any], runtime: Any) -> dict[str, Any] | None:
        """`after_agent` in a worker thread."""
        return await asyncio.to_thread(self.after_agent, state, runtime)


async def _aside(error: BaseException, work: Callable[..., None], *arguments: Any) -> None:
    """Do this in a worker thread, and wait for it unless the task was cancelled: then the thread goes on by itself."""
    done = asyncio.get_running_loop().run_in_executor(None, copy_context().run, work, *arguments)
    if isinstance(error, Exception):
        await done


def _base(request: ModelRequest[Any]) -> str:
    """What stands before the messages of a request."""
    system = request.system_message
    return str(system.text) if system is not None else ""


def binds(model: Any) -> bool:
    """May this model's reasoning be bound to the prefix that it was thought with?"""
    return family(model) == "anthropic" or "claude" in model_name(model).lower()


def other_model(own: str | None, model: Any) -> str | None:
    """The name of a chat model that is known and not the memory's own: it gets a plan that it can read."""
    name = model_name(model)
    return name if own and name and bare_name(name) != bare_name(own) and known(name) else None


def _sees(model: Any) -> bool | None:
    """Can the model read images? False only where its profile says so; None leaves it to the memory's own profile."""
    return False if (getattr(model, "profile", None) or {}).get("image_inputs") is False else None


_VERSION = re.compile(r"-v\d+(:\d+)?$")
_DATED = re.compile(r"([-@]\d{8}|-\d{4}-\d{2}-\d{2}|-latest)$")


def bare_name(name: str) -> str:
    """A model's name without its provider and date: "us.anthropic.claude-opus-4-5-20251101-v1:0" is "claude-opus-4-5"."""
    name = _VERSION.sub("", name.lower())
    name = re.split(r"[/:]", name)[-1]
    return _DATED.sub("", re.sub(r"^(?:[a-z]+\.)+", "", name))
