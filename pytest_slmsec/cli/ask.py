"""``slmsec ask MODEL PROMPT``: one question to a model, with what the answer cost."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_slmsec.config.options import (
    ADAPTER,
    ADAPTER_BASE,
    DEVICE,
    DTYPE,
    MODEL,
    SERVER_OPTIONS,
    TEMPLATE,
    THINKING,
    THOUGHT_TOKENS,
)
from pytest_slmsec.config.settings import read_settings
from pytest_slmsec.core.errors import EngineError, UsageError
from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.core.wrap import for_stderr

if TYPE_CHECKING:
    from pytest_slmsec.config.settings import Settings
    from pytest_slmsec.core.models import ModelSpec
    from pytest_slmsec.engines.common.base import Engine
    from pytest_slmsec.execution.batch_runner import MeasuredOutput
    from pytest_slmsec.execution.model_loader import Resident

OPTIONS = (DEVICE, DTYPE, ADAPTER, ADAPTER_BASE, THINKING, TEMPLATE, THOUGHT_TOKENS, *SERVER_OPTIONS)
"""Options of a run that change how a model is loaded or asked."""
NAME = "the prompt"
"""The id of the only request, for messages."""
MASK = "[MASK]"
STANDARD_INPUT = "-"
DEFAULT_TOKENS = 256
FILLINGS = 5


def add_to(commands: Any) -> None:
    """Declare the verb."""
    asking = commands.add_parser(
        "ask",
        help="ask a model one question, and see what the answer costs",
        description="Ask MODEL one question, as a run asks it: through its chat template, with the same engine. Shows "
        "the answer, tokens, speed and peak memory. An encoder generates no text: give --choices, or put [MASK] into "
        "the prompt.",
        epilog="example: slmsec ask tinysec 'Which port does SSH use?' --choices 22 80 443",
    )
    asking.add_argument("model", metavar="MODEL", help="as for pytest --model, recorded answers apart")
    asking.add_argument("prompt", metavar="PROMPT", nargs="?", help="the question; absent or -: from standard input")
    asking.add_argument("--choices", nargs="+", metavar="TEXT", help="rank these answers instead of generating one")
    asking.add_argument("--system", metavar="TEXT", help="a system turn before the prompt")
    asking.add_argument("--raw", action="store_true", help="the prompt is all that the model reads: no chat template")
    asking.add_argument("--show-prompt", action="store_true", help="also show the prompt as it was sent")
    asking.add_argument("--max-new-tokens", type=int, metavar="N", help=f"limit of the answer ({DEFAULT_TOKENS})")
    for option in OPTIONS:
        asking.add_argument(option.flag, dest=option.dest, help=option.help, **option.kwargs)
    asking.set_defaults(run=ask)


def ask(args: argparse.Namespace) -> int:
    """Ask and print.

    Raises:
        UsageError: an option that does not fit the model, or a prompt that does not fit its context.
        ModelError, EngineError: the model cannot be loaded or gave no answer.
    """
    from pytest_slmsec.cli.ask_output import answer_lines, prompt_lines
    from pytest_slmsec.execution.model_loader import ModelLoader
    from pytest_slmsec.execution.openmp import set_openmp

    settings = read_settings({**vars(args), MODEL.dest: [args.model]}, Path.cwd(), {})
    spec = _one_model(settings)
    request = request_of(_prompt(args.prompt), args.choices, args.system, args.raw, args.max_new_tokens)
    set_openmp()
    loader = ModelLoader(lambda model: _load(model, settings), _Steps())
    try:
        resident = loader.load(spec)
        _check(resident.engine, spec, request)
        if args.show_prompt:
            print("\n".join(prompt_lines(resident.engine, request)))
        measured = _measure(resident, request)
        _refuse_error(measured, spec, resident.engine.info.context_tokens)
        print("\n".join(answer_lines(measured, request)))
    finally:
        loader.unload()
    return 0


def request_of(
    prompt: str, choices: list[str] | None, system: str | None, raw: bool, max_new_tokens: int | None = None
) -> Generate | Choose:
    """The question as an engine takes it.

    A choice behind a raw prompt begins with a blank, as it would in running text; after a chat template it begins the
    turn of the model.

    Raises:
        UsageError: the prompt is empty, a choice is, the limit is no limit, or a raw prompt has a system turn.
    """
    if not prompt.strip():
        raise UsageError("The prompt is empty: write it behind the model, or send it to standard input.")
    if raw and system is not None:
        raise UsageError("--raw sends the prompt alone: leave out --system, or write its text into the prompt.")
    if max_new_tokens is not None and max_new_tokens < 1:
        raise UsageError(f"--max-new-tokens={max_new_tokens}: must be a whole number of at least 1.")
    if choices is not None and not all(choice.strip() for choice in choices):
        raise UsageError("--choices: one of them is empty; every choice needs a text.")
    messages = (*([Message("system", system)] if system is not None else []), Message("user", prompt))
    if choices is None:
        return Generate(NAME, messages, max_new_tokens or DEFAULT_TOKENS, raw=raw)
    blank = " " if raw and not prompt[-1].isspace() else ""
    return Choose(NAME, messages, tuple(f"{blank}{choice}" for choice in choices), raw=raw, question=prompt,
                  options=tuple(choices))  # fmt: skip


def _one_model(settings: Settings) -> ModelSpec:
    names = [spec.name for spec in settings.models]
    if len(names) != 1:
        raise UsageError(f"One model is asked at a time, and here are {len(names)}: {', '.join(names) or 'none'}.")
    if settings.models[0].source == "replay":
        raise UsageError(f"{names[0]} holds recorded answers, and no model that could be asked; name the model itself.")
    return settings.models[0]


def _prompt(given: str | None) -> str:
    """The prompt of the command line, or all of standard input without the line break at its end."""
    if given not in (None, STANDARD_INPUT):
        return str(given)
    if sys.stdin.isatty():
        print("slmsec: reading the prompt from standard input; Ctrl-D ends it", file=sys.stderr)
    try:
        return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise UsageError(f"Standard input is no UTF-8 text (byte {error.start + 1}): convert it first.") from error


def _load(spec: ModelSpec, settings: Settings) -> Engine:
    from pytest_slmsec.quantize.load_model import make_engine

    steps = _Steps()
    wanted = replace(settings.engine, progress=lambda what, done: steps.say(f"{what} ({done:.0%})"), notice=steps.tell)
    return make_engine(spec, wanted)


def _check(engine: Engine, spec: ModelSpec, request: Generate | Choose) -> None:
    """Refuse what the loaded model cannot do."""
    from pytest_slmsec.engines.common.base import Capability, Filling, unable

    if Capability.OPTIONS in engine.capabilities and len(request.messages) > 1:
        raise UsageError(f"{spec.name} is an encoder, which reads no system turn: leave out --system.")
    if fills(request) and isinstance(engine, Filling):
        return
    why = unable(engine, request)
    if why is not None and Capability.OPTIONS in engine.capabilities:
        why += f": give --choices, or put {MASK} into the prompt"
    if why is not None:
        raise UsageError(f"{spec.name} cannot be asked this: {why}.")


def fills(request: Generate | Choose) -> bool:
    """Whether a request asks for the word behind a `MASK`, where the model is one that can tell."""
    return isinstance(request, Generate) and MASK in request.messages[-1].content


def _measure(resident: Resident, request: Generate | Choose) -> MeasuredOutput:
    """Answer the request as a window of a run, its journal in a folder that is removed at once."""
    from pytest_slmsec.core.journal import Journal
    from pytest_slmsec.engines.common.base import Filling
    from pytest_slmsec.execution import batch_runner

    if fills(request) and isinstance(resident.engine, Filling):
        resident = replace(resident, engine=_Filled(resident.engine))
    with (
        tempfile.TemporaryDirectory(prefix="slmsec-") as folder,
        closing(Journal.start(Path(folder) / "journal.jsonl")) as journal,
    ):
        return batch_runner.ask(resident, [request], journal, lambda done: None)[0]


class _Filled:
    """An engine that answers a request with the likeliest words for its `MASK`, one a line."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.capabilities, self.info = engine.capabilities, engine.info

    def plan(self, requests: Any) -> list[list[int]]:
        return [[0]]

    def run(self, requests: Any) -> Any:
        return self._engine.fill(requests[0].messages[-1].content, MASK, FILLINGS)

    def close(self) -> None:
        self._engine.close()


def _refuse_error(measured: MeasuredOutput, spec: ModelSpec, context: int | None) -> None:
    output = measured.output
    if output.error is None:
        return
    if context is not None and (output.prompt_tokens or 0) >= context:
        raise UsageError(
            f"The prompt has {output.prompt_tokens:,} tokens and the context of {spec.name} holds {context:,}; nothing "
            "was cut: shorten it, or ask a model with a longer context."
        )
    raise EngineError(output.error)


class _Steps:
    """Progress on standard error: steps where it is a terminal, waits always."""

    def say(self, text: str) -> None:
        """One line about what starts now."""
        if sys.stderr.isatty():
            print(f"slmsec: {text} ...", file=sys.stderr)

    def tell(self, text: str) -> None:
        """A wait that the user should know of."""
        print(for_stderr(f"slmsec: {text}"), file=sys.stderr)

    def start(self, what: str, total: int) -> None:
        """A window begins; one question needs no bar."""

    def advance(self, done: int) -> None:
        """Answers have arrived."""

    def stop(self) -> None:
        """The window has ended."""
