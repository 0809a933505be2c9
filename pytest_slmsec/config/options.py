"""Every option once: the plugin and the `slmsec` command declare them from here, and `Settings` reads them.

Precedence: command line, then environment variable (where there is one), then ``[tool.slmsec]`` of pyproject.toml or
the same keys in ``slmsec.toml``.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.models import (
    DTYPES,
    ModelSpec,
    Registry,
    check_entry,
    distinct,
    parse_model,
    shipped_registry,
    split_names,
)
from pytest_slmsec.core.paths import cache_dir
from pytest_slmsec.engines.common.settings import EngineSettings, ServerSettings
from pytest_slmsec.gates.policy.config import PRESETS, GateConfig, read_config
from pytest_slmsec.quantize.registry import QUANTIZERS
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.sources import Limit

WRONG = ("pass", "xfail", "fail")
SENTINELS = ("warn", "fail", "off")
PROMPTS = ("published", "chat")
ADAPTER_MODES = ("live", "merged")
VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")
RULE = "rule"
"""What stands for a judge where no model is asked."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the command line.

    Attributes:
        name: without dashes; the key in ``[tool.slmsec]`` is the part after ``slmsec-``.
        help: one or two sentences. kwargs: further arguments of `argparse.add_argument`.
        env: environment variable that gives it when the command line does not.
        configurable: may stand in ``[tool.slmsec]``.
    """

    name: str
    help: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    env: str | None = None
    configurable: bool = True

    @property
    def flag(self) -> str:
        """As written on the command line."""
        return f"--{self.name}"

    @property
    def dest(self) -> str:
        """Attribute of the parsed namespace; always prefixed, so that it clashes with no other plugin."""
        return "slmsec_" + self.key.replace("-", "_")

    @property
    def key(self) -> str:
        """Key in the configuration file."""
        return self.name.removeprefix("slmsec-")


MODEL = Option(
    "model",
    "Model to evaluate: base[-quant], a local directory, hf:org/name[@revision], openai:NAME or ollama:NAME for what a "
    "server runs (docs/servers.md), or replay:PATH[::NAME] for recorded answers; repeated or comma-separated (tinysec, "
    "tinysec-gptq4, phi3-gptq4, ./my-model, hf:org/name@main, openai:gpt-4.1-mini, replay:run.jsonl). `slmsec list` "
    "shows the known names.",
    {"action": "append", "metavar": "NAME"},
    configurable=False,
)
DATA = Option(
    "slmsec-data",
    "Where items come from: a folder of published files, `hub`, or `fixture` (our own items). Default: the variable "
    "SLMSEC_DATA; else `fixture` for the embedded tinysec models and `hub` for all others.",
    {"metavar": "DIR|hub|fixture"},
    env="SLMSEC_DATA",
)
DEVICE = Option("slmsec-device", "Where models run: auto (default), cpu, cuda, cuda:1, mps.", {"metavar": "DEVICE"})
BASE_URL = Option(
    "slmsec-base-url",
    "Address of the server that runs openai:NAME and ollama:NAME models, e.g. http://localhost:8000/v1 (default for "
    "Ollama: http://localhost:11434). A registry entry with a `base_url` of its own keeps it.",
    {"metavar": "URL"},
    env="SLMSEC_BASE_URL",
)
API_KEY_ENV = Option(
    "slmsec-api-key-env",
    "Name of the environment variable that holds the server's key (default: SLMSEC_API_KEY, else OPENAI_API_KEY). "
    "The key itself is read from nowhere else and written nowhere.",
    {"metavar": "VARIABLE"},
)
CONCURRENCY = Option(
    "slmsec-concurrency",
    "Most requests in flight to a server (default 8).",
    {"type": int, "metavar": "N"},
)
TIMEOUT = Option(
    "slmsec-timeout",
    "Seconds that one request to a server may take (default 120).",
    {"type": float, "metavar": "SECONDS"},
)
SERVER_OPTIONS = (BASE_URL, API_KEY_ENV, CONCURRENCY, TIMEOUT)
DTYPE = Option(
    "slmsec-dtype",
    "What models without a dtype in their name compute in: auto (default: fp32 on a CPU, the checkpoint's own "
    "elsewhere), fp32, bf16, fp16.",
    {"choices": ("auto", *DTYPES)},
)
DEVICES = re.compile(r"auto|cpu|mps|cuda(:[0-9]+)?")
BATCH_TOKENS = Option(
    "slmsec-batch-tokens",
    "Token budget of one batch, padding included. Lower it when memory is short; scores do not depend on it beyond "
    "float noise.",
    {"type": int, "metavar": "N"},
)
STOP_WHEN_ANSWERED = Option(
    "slmsec-stop-when-answered",
    "End an answer as soon as it holds a complete one (a CWE id, a CVSS vector). Faster, but what the model would have "
    "said behind it is lost: such groups are named cti-rcm~answered.",
    {"action": "store_true", "default": None},
)
PACKING = Option(
    "slmsec-packing",
    "auto (default): no token is computed twice where the model allows it, and no answer depends on its batch. off: "
    "padded batches, as for models that do not allow it.",
    {"choices": ("auto", "off")},
)
FRAGILE = Option(
    "slmsec-fragile",
    "Choices that hang on numeric noise: flag (default) counts them; rescore scores them again in fp32, one at a time, "
    "which takes four bytes a parameter.",
    {"choices": ("flag", "rescore")},
)
ADAPTER = Option(
    "slmsec-adapter",
    "How the LoRA adapter of --model=BASE+ADAPTER is computed: live (default), beside the layers of its base, or "
    "merged into their weights.",
    {"choices": ADAPTER_MODES},
)
JUDGE = Option(
    "slmsec-judge",
    "Who judges answers that no rule can score (mitre): rule (default: refusals only, offline), or a model, named as "
    "for --model. Runs with different judges are not compared.",
    {"metavar": "rule|NAME"},
)
EXPANDER = Option(
    "slmsec-expander",
    "The model that examines an answer before the judge sees what it found (default: the judge).",
    {"metavar": "NAME"},
)
SIMILARITY = Option(
    "slmsec-similarity-model",
    "Sentence-embedding model that compares answers with references by meaning (SEvenLLM): a directory or "
    "hf:org/name; its authors used hf:sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2. Without it this "
    "number is reported as unavailable.",
    {"metavar": "NAME"},
)
LM_EVAL = Option(
    "slmsec-lm-eval",
    "Ask a task of lm-evaluation-harness that is no benchmark here, by its name there; a group or tag stands for its "
    "tasks. Repeated or comma-separated; collected by benchmarks/test_nlp.py.",
    {"action": "append", "metavar": "TASK"},
    configurable=False,
)
RUN_OPTIONS = (
    LM_EVAL,
    Option(
        "slmsec-scoring",
        "strict (default): an unparsed or cut-off answer is wrong. official: bit-exact with the authors' scorer and "
        "their token limit, for comparison with published tables.",
        {"choices": [m.value for m in Mode]},
    ),
    Option(
        "slmsec-prompt",
        "published (default): prompts that the authors sent without a chat template (SEvenLLM) are sent so. chat: they "
        "become the user turn of the model's own chat template; the group is then named sevenllm-gen-en~chat.",
        {"choices": PROMPTS},
    ),
    SIMILARITY,
    Option(
        "slmsec-limit",
        "Take a seeded sample of N items of each benchmark; the group is then named cti-mcq@N and is never compared "
        "with the whole.",
        {"metavar": "N[:SEED]"},
    ),
    Option(
        "slmsec-max-new-tokens",
        "Token limit of a generated answer, for every benchmark (default: a limit a benchmark).",
        {"type": int, "metavar": "N"},
    ),
    Option(
        "slmsec-window",
        "Items handed to the engine at a time (default 256). Larger windows batch better; -x and a crash lose more.",
        {"type": int, "metavar": "N"},
    ),
    BATCH_TOKENS,
    PACKING,
    FRAGILE,
    ADAPTER,
    STOP_WHEN_ANSWERED,
    DEVICE,
    DTYPE,
    Option(
        "slmsec-no-prefetch",
        "Do not ask the next window while pytest reports the last one.",
        {"action": "store_true", "default": None},
    ),
    Option(
        "slmsec-resume",
        "Continue an interrupted run: reuse the journaled answers whose model, prompt and decoding are unchanged.",
        {"action": "store_true", "default": None},
        configurable=False,
    ),
    Option(
        "slmsec-journal",
        "File that every answer is written to as its batch ends (default: .slmsec/journal.jsonl in the rootdir).",
        {"metavar": "FILE"},
    ),
    Option(
        "slmsec-transcript",
        "Write every item as one JSON line to FILE: prompt, answer, score, tokens.",
        {"metavar": "FILE"},
    ),
    JUDGE,
    EXPANDER,
    Option(
        "slmsec-wrong",
        "How a wrong answer shows: pass (default: the case passes with status `wrong`), xfail, or fail.",
        {"choices": WRONG},
    ),
    Option(
        "slmsec-sentinels",
        "Signs that a number is wrong (docs/sentinels.md): warn (default) tells them below the tables, fail also makes "
        "each an error of the run, off does not look.",
        {"choices": SENTINELS},
    ),
)
PRESET = Option(
    "slmsec-preset",
    "Margins of the gate for an occasion: pr (3 points), nightly (2, the default) or release (1 from 2500 items on, "
    "and undecided is not good enough).",
    {"choices": list(PRESETS)},
    configurable=False,
)
GATE_OPTIONS = (
    Option(
        "slmsec-baseline",
        "Judge every model against a stored run: a file of --benchmark-json, or the number (0001) of a run in the "
        "storage. Without it each quantised model is judged against its own base in the same run.",
        {"metavar": "FILE|NNNN"},
        configurable=False,
    ),
    PRESET,
    Option(
        "slmsec-update-baseline",
        "Write this run to the file of --slmsec-baseline. Refused unless every verdict is PASS or --slmsec-force says "
        "why not; a file that does not exist yet is made.",
        {"action": "store_true"},
        configurable=False,
    ),
    Option(
        "slmsec-force",
        "Update the baseline whatever the verdict; the reason is stored in it.",
        {"metavar": "REASON"},
        configurable=False,
    ),
    Option(
        "slmsec-strict",
        "A verdict that stays INCONCLUSIVE fails the run.",
        {"action": "store_true"},
        configurable=False,
    ),
    Option(
        "slmsec-json",
        "Write every number of the gate as JSON to FILE.",
        {"metavar": "FILE"},
        configurable=False,
    ),
    Option(
        "slmsec-flips",
        "Write every item whose score changed between base and candidate as one JSON line to FILE.",
        {"metavar": "FILE"},
        configurable=False,
    ),
    Option(
        "slmsec-plan",
        "Print what the gate can show with the selected items, and run nothing.",
        {"action": "store_true"},
        configurable=False,
    ),
    Option("slmsec-no-gate", "Judge nothing.", {"action": "store_true"}, configurable=False),
)
PLUGIN_OPTIONS = (MODEL, DATA, *RUN_OPTIONS, *SERVER_OPTIONS, *GATE_OPTIONS)
DEFAULT_WINDOW = 256


@dataclass(frozen=True)
class Settings:
    """All options of one run, checked.

    Attributes:
        models: in the order of the command line, each once. data: see `tasks.sources.find`.
        mode: scoring mode. limit: sample, or None. max_new_tokens: override, or None.
        stop_when_answered: answers end once they are complete.
        window: items handed over at a time. engine: what engines need to know.
        journal: file. resume: reuse its answers. transcript: file, or None. wrong: how a wrong answer shows.
        roles: the models that are asked about answers, by role (``judge``, ``expander``); empty: none is.
        chat: prompts that were published without a chat template are put into the model's own.
        takes_whole: whether a benchmark is taken whole although only a sample is wanted, for the gate may ask for the
            rest: of (model, label, items).
        similarity: the sentence-embedding model that compares answers with references, or None.
        lm_eval: names of further tasks of lm-evaluation-harness.
        sentinels: what a finding of the sentinels does.
        prefetch: the next window is asked while the last one is reported.
    """

    models: tuple[ModelSpec, ...]
    data: str | None
    mode: Mode
    limit: Limit | None
    max_new_tokens: int | None
    stop_when_answered: bool
    window: int
    engine: EngineSettings
    journal: Path
    resume: bool
    transcript: Path | None
    wrong: str
    roles: Mapping[str, ModelSpec] = field(default_factory=dict)
    chat: bool = False
    takes_whole: Callable[[ModelSpec, str, int], bool] = lambda model, label, n: False
    similarity: ModelSpec | None = None
    lm_eval: tuple[str, ...] = ()
    sentinels: str = SENTINELS[0]
    prefetch: bool = True


def load_config(root: Path) -> dict[str, Any]:
    """The table ``[tool.slmsec]`` of `root`/pyproject.toml, or all of `root`/slmsec.toml, which wins.

    Raises:
        UsageError: no valid TOML, or an unknown key, named with its nearest match.
    """
    table: dict[str, Any] = {}
    where = root / "pyproject.toml"
    for path, inside in ((where, ("tool", "slmsec")), (root / "slmsec.toml", ())):
        if path.is_file():
            value = _toml(path)
            for key in inside:
                value = value.get(key, {})
            if value:
                table, where = value, path
    known = [option.key for option in PLUGIN_OPTIONS if option.configurable] + ["models", "gate"]
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}."
            raise UsageError(f"{where}: [tool.slmsec] has the unknown key {key!r}; {hint}")
    for name, entry in table.get("models", {}).items():
        check_entry(name, entry, str(where))
    return table


def read_gate(root: Path, preset: str | None) -> GateConfig:
    """What the gate tolerates: ``[tool.slmsec.gate]`` of the configuration that counts in `root`.

    Raises:
        UsageError: see `gates.config.read_config`.
    """
    return read_config(load_config(root).get("gate", {}), f"{root / 'pyproject.toml'} [tool.slmsec.gate]", preset)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no valid TOML: {error}.") from error


def read_settings(given: Mapping[str, Any], root: Path, extra_models: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Settings of one run.

    Args:
        given: values of the command line by `Option.dest`; None or missing where the user said nothing.
        root: folder whose configuration counts and where the journal goes by default.
        extra_models: registry entries from other plugins and conftests.

    Raises:
        UsageError: an option or key that cannot be used; UnknownModelError: a model that is not known.
    """
    config = load_config(root)

    def value(option: Option) -> Any:
        chosen = given.get(option.dest)
        if chosen is None and option.env:
            chosen = os.environ.get(option.env) or None
        if chosen is None and option.configurable:
            chosen = config.get(option.key)
        return chosen

    chosen = {option.key: value(option) for option in PLUGIN_OPTIONS}
    registry = {**shipped_registry(), **extra_models, **config.get("models", {})}
    return Settings(
        models=distinct(parse_model(name, registry, tuple(QUANTIZERS)) for name in split_names(chosen["model"] or ())),
        roles=_roles(chosen["judge"] or RULE, chosen["expander"], registry),
        data=_data(chosen["data"]),
        mode=Mode(_one_of("scoring", chosen["scoring"] or Mode.STRICT.value, [m.value for m in Mode])),
        limit=None if chosen["limit"] is None else Limit.parse(str(chosen["limit"])),
        max_new_tokens=_positive("max-new-tokens", chosen["max-new-tokens"]),
        stop_when_answered=_early(chosen["stop-when-answered"], chosen["scoring"]),
        window=_positive("window", chosen["window"]) or DEFAULT_WINDOW,
        engine=replace(
            engine_settings(chosen["device"], _positive("batch-tokens", chosen["batch-tokens"])),
            server=server_settings(chosen),
            packing=_one_of("packing", chosen["packing"] or "auto", ("auto", "off")) == "auto",
            dtype=_one_of("dtype", chosen["dtype"] or "auto", ("auto", *DTYPES)),
            rescore_fragile=_one_of("fragile", chosen["fragile"] or "flag", ("flag", "rescore")) == "rescore",
            merge_adapter=_one_of("adapter", chosen["adapter"] or ADAPTER_MODES[0], ADAPTER_MODES) == "merged",
        ),
        journal=root / (chosen["journal"] or ".slmsec/journal.jsonl"),
        resume=bool(chosen["resume"]),
        transcript=Path(chosen["transcript"]) if chosen["transcript"] else None,
        wrong=_one_of("wrong", chosen["wrong"] or "pass", WRONG),
        chat=_one_of("prompt", chosen["prompt"] or PROMPTS[0], PROMPTS) == "chat",
        similarity=_similarity(chosen["similarity-model"], registry),
        sentinels=_one_of("sentinels", chosen["sentinels"] or SENTINELS[0], SENTINELS),
        prefetch=not chosen["no-prefetch"],
        lm_eval=tuple(dict.fromkeys(name for text in chosen["lm-eval"] or () for name in text.split(",") if name)),
    )


def _similarity(name: str | None, registry: Registry) -> ModelSpec | None:
    return parse_model(name, registry, tuple(QUANTIZERS), SIMILARITY.flag) if name else None


def _roles(judge: str, expander: str | None, registry: Registry) -> dict[str, ModelSpec]:
    if judge == RULE:
        if expander is not None:
            raise UsageError(f"{EXPANDER.flag}={expander}: nobody judges what it finds; give {JUDGE.flag}=NAME.")
        return {}
    quants = tuple(QUANTIZERS)
    found = {"judge": parse_model(judge, registry, quants, JUDGE.flag)}
    return {**found, "expander": parse_model(expander, registry, quants, EXPANDER.flag) if expander else found["judge"]}


def engine_settings(device: str | None, batch_tokens: int | None) -> EngineSettings:
    """What engines need to know, from the options that the plugin and the command share.

    Raises:
        UsageError: no such device. Whether it is there is known once torch is loaded.
    """
    if device is not None and not (isinstance(device, str) and DEVICES.fullmatch(device)):
        raise UsageError(f"{DEVICE.flag}={device}: no such device; say auto, cpu, cuda, cuda:1 or mps.")
    return EngineSettings(device=device or "auto", batch_tokens=batch_tokens, offline=False, cache_dir=cache_dir())


def server_settings(chosen: Mapping[str, Any]) -> ServerSettings:
    """How servers are asked, from the values of the options by their keys.

    Raises:
        UsageError: one cannot be used.
    """
    url, variable, timeout = chosen["base-url"], chosen["api-key-env"], chosen["timeout"]
    if url is not None and not isinstance(url, str):
        raise UsageError(f"{BASE_URL.flag}={url}: must be a URL such as http://localhost:8000/v1.")
    if variable is not None and not (isinstance(variable, str) and VARIABLE.fullmatch(variable)):
        raise UsageError(f"{API_KEY_ENV.flag} must be the name of an environment variable, and not a key.")
    if timeout is not None and not (isinstance(timeout, (int, float)) and 0 < timeout < float("inf")):
        raise UsageError(f"{TIMEOUT.flag}={timeout}: must be a number of seconds above 0.")
    default = ServerSettings()
    return replace(
        default, base_url=url, key_variable=variable, timeout_s=float(timeout or default.timeout_s),
        concurrency=_positive("concurrency", chosen["concurrency"]) or default.concurrency,
    )  # fmt: skip


def _early(wanted: Any, scoring: Any) -> bool:
    if wanted not in (None, True, False):
        raise UsageError(f"stop-when-answered = {wanted!r}: write true or false.")
    if wanted and scoring == Mode.OFFICIAL.value:
        raise UsageError(
            "--slmsec-stop-when-answered cuts answers short, which official scoring does not: leave out one of the two."
        )
    return bool(wanted)


def _data(text: str | None) -> str | None:
    if text and text not in ("hub", "fixture") and not Path(text).expanduser().is_dir():
        raise UsageError(
            f"--slmsec-data={text} (or SLMSEC_DATA): there is no such folder; name the folder of the published files, "
            "or `hub`, or `fixture`."
        )
    return text


def _positive(key: str, number: Any) -> int | None:
    if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 1):
        raise UsageError(f"--slmsec-{key}={number}: must be a whole number of at least 1.")
    return number


def _one_of(key: str, text: str, allowed: tuple[str, ...] | list[str]) -> str:
    if text not in allowed:
        raise UsageError(f"--slmsec-{key}={text}: must be one of {', '.join(allowed)}.")
    return text
