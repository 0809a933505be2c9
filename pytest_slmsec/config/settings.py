"""The settings of one run: all options, checked, with their defaults filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_slmsec.config.files import load_config
from pytest_slmsec.config.options import (
    ADAPTER_BASES,
    ADAPTER_MODES,
    API_KEY_ENV,
    BASE_URL,
    BENCHMARKS,
    DEVICE,
    EXPANDER,
    JUDGE,
    LONGEST_WAIT,
    PAIR_JUDGE,
    PLUGIN_OPTIONS,
    PROMPTS,
    QA,
    QA_COLUMNS,
    RULE,
    SENTINELS,
    SIMILARITY,
    TDP,
    TIMEOUT,
    TRAINED_ON,
    WRONG,
    Option,
)
from pytest_slmsec.config.thinking import thinking_settings
from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.model_names import parse_model, split_names
from pytest_slmsec.core.model_registry import Registry, check_addresses, shipped_registry
from pytest_slmsec.core.models import DTYPES, ModelSpec
from pytest_slmsec.core.paths import cache_dir
from pytest_slmsec.core.pool_address import PoolAddress
from pytest_slmsec.core.recorded_names import distinct
from pytest_slmsec.core.shard import Shard
from pytest_slmsec.engines.common.settings import EngineSettings, ServerSettings
from pytest_slmsec.perturb.wanted import Wanted, read_wanted
from pytest_slmsec.quantize.registry import QUANTIZERS
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.sources import Limit

if TYPE_CHECKING:
    import pytest

    from pytest_slmsec.devices.profile import Chosen

DEFAULT_WINDOW = 256
QA_NAMES = ("question", "answer", "facts", "category", "split")
DEVICES = re.compile(r"auto|cpu|mps|cuda(:[0-9]+)?")
VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Settings:
    """All options of one run, checked.

    Attributes:
        models: the models to evaluate, in the order of the command line, each once.
        data: where items come from, see `tasks.sources.find`; None: a default for each model.
        mode: how answers are scored. limit: the sample of each benchmark; None: all items.
        max_new_tokens: token limit of a generated answer; None: the limit of each benchmark.
        stop_when_answered: an answer ends as soon as it holds a complete one.
        window: the number of items that the engine is asked at a time. engine: settings of the engines.
        journal: file that answers are written to. resume: reuse the answers that it holds.
        transcript: file that every item is written to, or None.
        wrong: outcome of a test with a wrong answer: ``pass``, ``xfail`` or ``fail``.
        roles: models that grade answers, by role (``judge``, ``expander``); empty where no model grades.
        chat: prompts that were published without a chat template become a user turn of the model's own template.
        similarity: sentence-embedding model that compares answers with references, or None.
        lm_eval: names of further tasks of lm-evaluation-harness.
        sentinels: what a finding of the sentinels does: ``warn``, ``fail`` or ``off``.
        prefetch: the next window is asked while the last one is reported.
        benchmarks: names and patterns of the benchmarks that are asked; empty: all.
        qa: the file of questions that are asked in the place of the benchmark ``qa``, or None. qa_columns: the column
            of it that stands for each of ours, where it is called otherwise.
        trained_on: files of data that the models were trained on.
        device_profile: the device whose limits hold for the run, or None.
        tdp_w: watts that the device takes at most, for an estimate of energy; None: no estimate.
        pair_judge: the model that compares answers of candidate and base, or None.
        perturb: kinds of variants that are asked as well, and how many of each; empty: none.
        shard: the part of the run that this process measures; None: all of it.
        pool: replicas that answer, or None: this process does.
        merge: journals of shards, or folders with them, that hold all answers; empty: models are asked.
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
    similarity: ModelSpec | None = None
    lm_eval: tuple[str, ...] = ()
    sentinels: str = SENTINELS[0]
    prefetch: bool = True
    benchmarks: tuple[str, ...] = ()
    qa: Path | None = None
    qa_columns: Mapping[str, str] = field(default_factory=dict)
    trained_on: tuple[Path, ...] = ()
    tdp_w: float | None = None
    pair_judge: ModelSpec | None = None
    perturb: tuple[Wanted, ...] = ()
    shard: Shard | None = None
    merge: tuple[Path, ...] = ()
    device_profile: Chosen | None = None
    pool: PoolAddress | None = None

    def asks(self, benchmark: str) -> bool:
        """Whether a benchmark is one of those that are to be asked, by its name."""
        return not self.benchmarks or any(fnmatchcase(benchmark, pattern) for pattern in self.benchmarks)


def read_settings(given: Mapping[str, Any], root: Path, extra_models: Mapping[str, Mapping[str, Any]]) -> Settings:
    """The settings of one run.

    Args:
        given: values of the command line by `Option.dest`; None or missing where an option was not given.
        root: folder of the configuration files and, by default, of the journal.
        extra_models: registry entries from other plugins and conftests.

    Raises:
        UsageError: an option or key that cannot be used; UnknownModelError: a model that is not known.
    """
    config = load_config(root)
    chosen = {option.key: option.given(given) for option in PLUGIN_OPTIONS}
    for option in PLUGIN_OPTIONS:
        if chosen[option.key] is None and option.configurable:
            chosen[option.key] = config.get(option.key)
    registry = {**shipped_registry(), **extra_models, **config.get("models", {})}
    return Settings(
        models=distinct(parse_model(name, registry, tuple(QUANTIZERS)) for name in split_names(chosen["model"] or ())),
        roles=_roles(chosen["judge"] or RULE, chosen["expander"], registry),
        data=_data(chosen["data"]),
        mode=Mode(_one_of("scoring", chosen["scoring"] or Mode.STRICT.value, [m.value for m in Mode])),
        limit=None if chosen["limit"] is None else Limit.parse(str(chosen["limit"])),
        max_new_tokens=_positive("max-new-tokens", chosen["max-new-tokens"]),
        stop_when_answered=_stop_when_answered(chosen["stop-when-answered"], chosen["scoring"]),
        window=_positive("window", chosen["window"]) or DEFAULT_WINDOW,
        engine=replace(
            engine_settings(chosen["device"], _positive("batch-tokens", chosen["batch-tokens"])),
            server=server_settings(chosen),
            thinking=thinking_settings(
                chosen["thinking"], chosen["template"], _positive("thought-tokens", chosen["thought-tokens"])
            ),
            packing=_one_of("packing", chosen["packing"] or "auto", ("auto", "off")) == "auto",
            guesses=_one_of("guesses", chosen["guesses"] or "auto", ("auto", "off")) == "auto",
            dtype=_one_of("dtype", chosen["dtype"] or "auto", ("auto", *DTYPES)),
            rescore_fragile=_one_of("fragile", chosen["fragile"] or "flag", ("flag", "rescore")) == "rescore",
            merge_adapter=_one_of("adapter", chosen["adapter"] or ADAPTER_MODES[0], ADAPTER_MODES) == "merged",
            adapter_base_same=_one_of("adapter-base", chosen["adapter-base"] or "named", ADAPTER_BASES) == "same",
        ),
        journal=root / (chosen["journal"] or ".slmsec/journal.jsonl"),
        resume=bool(chosen["resume"]),
        transcript=Path(chosen["transcript"]) if chosen["transcript"] else None,
        wrong=_one_of("wrong", chosen["wrong"] or "pass", WRONG),
        chat=_one_of("prompt", chosen["prompt"] or PROMPTS[0], PROMPTS) == "chat",
        similarity=_other_model(SIMILARITY, chosen["similarity-model"], registry),
        sentinels=_one_of("sentinels", chosen["sentinels"] or SENTINELS[0], SENTINELS),
        prefetch=not chosen["no-prefetch"],
        lm_eval=_names(chosen["lm-eval"] or ()),
        benchmarks=_benchmarks(chosen["benchmarks"]),
        qa=_qa_file(chosen["qa"]),
        qa_columns=_qa_columns(chosen["qa-columns"]),
        tdp_w=_watts(chosen["tdp"]),
        device_profile=_device_profile(chosen["device-profile"], config.get("devices", {})),
        trained_on=_training_files(chosen["trained-on"]),
        pair_judge=_other_model(PAIR_JUDGE, chosen["pair-judge"], registry),
        perturb=() if chosen["perturb"] is None else read_wanted(str(chosen["perturb"])),
        shard=Shard.parse(chosen["shard"]) if chosen["shard"] else None,
        pool=None if chosen["pool"] is None else PoolAddress.parse(str(chosen["pool"])),
        merge=tuple(Path(name).expanduser() for name in chosen["merge"] or ()),
    )


def _qa_file(name: Any) -> Path | None:
    if name is None:
        return None
    path = Path(str(name)).expanduser()
    if not path.is_file():
        raise UsageError(f"{QA.flag}={name}: there is no such file; name a CSV, JSON lines or XLSX file.")
    return path


def _training_files(given: Any) -> tuple[Path, ...]:
    names = [given] if isinstance(given, str) else given or []
    for name in names:
        if not isinstance(name, str) or not Path(name).expanduser().is_file():
            raise UsageError(f"{TRAINED_ON.flag}={name}: there is no such file; name the training data, one file each.")
    return tuple(Path(name).expanduser() for name in dict.fromkeys(names))


def _qa_columns(text: Any) -> dict[str, str]:
    pairs = [part.partition("=") for part in str(text or "").split(",") if part.strip()]
    found = {name.strip(): column.strip() for name, _, column in pairs}
    wrong = [name for name, column in found.items() if name not in QA_NAMES or not column]
    if wrong or len(found) != len(pairs):
        raise UsageError(
            f"{QA_COLUMNS.flag}={text}: write NAME=COLUMN with each of {', '.join(QA_NAMES)} at most once."
        )
    return found


def _benchmarks(given: Any) -> tuple[str, ...]:
    texts = [given] if isinstance(given, str) else given or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise UsageError(f'{BENCHMARKS.flag}={given}: write names or patterns, such as "cti-mcq,cti-rcm*".')
    return _names(texts)


def _names(texts: Sequence[str]) -> tuple[str, ...]:
    """Comma-separated names, each once."""
    return tuple(dict.fromkeys(name.strip() for text in texts for name in text.split(",") if name.strip()))


def _other_model(option: Option, name: str | None, registry: Registry) -> ModelSpec | None:
    """A model that is not under test."""
    return parse_model(name, registry, tuple(QUANTIZERS), option.flag) if name else None


def _roles(judge: str, expander: str | None, registry: Registry) -> dict[str, ModelSpec]:
    if judge == RULE:
        if expander is not None:
            raise UsageError(f"{EXPANDER.flag}={expander}: nobody judges what it finds; give {JUDGE.flag}=NAME.")
        return {}
    quants = tuple(QUANTIZERS)
    judging = parse_model(judge, registry, quants, JUDGE.flag)
    expanding = parse_model(expander, registry, quants, EXPANDER.flag) if expander else judging
    return {"judge": judging, "expander": expanding}


def settings_of(config: pytest.Config) -> Settings:
    """The settings of a pytest session, with the models that other plugins and conftests add.

    Raises:
        UsageError, UnknownModelError: see `read_settings`.
    """
    extra: dict[str, Mapping[str, Any]] = {}
    for models in config.hook.pytest_slmsec_models(config=config):
        extra.update(models)
    return read_settings(vars(config.option), config.rootpath, extra)


def engine_settings(device: str | None, batch_tokens: int | None) -> EngineSettings:
    """Settings of the engines, from the options that the plugin and the command `slmsec` share.

    Args:
        batch_tokens: token budget of a batch; None: the engine chooses.

    Raises:
        UsageError: `device` is no device name. Whether the machine has it is only known once torch is loaded.
    """
    if device is not None and not (isinstance(device, str) and DEVICES.fullmatch(device)):
        raise UsageError(f"{DEVICE.flag}={device}: no such device; say auto, cpu, cuda, cuda:1 or mps.")
    return EngineSettings(device=device or "auto", batch_tokens=batch_tokens, offline=False, cache_dir=cache_dir())


def server_settings(chosen: Mapping[str, Any]) -> ServerSettings:
    """Settings of the server engine.

    Args:
        chosen: values of the options by `Option.key`; None where nothing sets an option.

    Raises:
        UsageError: a value cannot be used.
    """
    url, variable, timeout = chosen["base-url"], chosen["api-key-env"], chosen["timeout"]
    if url is not None:
        check_addresses(url, f"{BASE_URL.flag}={url}:")
        url = tuple(url) if isinstance(url, list) else url
    if variable is not None and not (isinstance(variable, str) and VARIABLE.fullmatch(variable)):
        raise UsageError(f"{API_KEY_ENV.flag} must be the name of an environment variable, and not a key.")
    if timeout is not None and not (isinstance(timeout, (int, float)) and 0 < timeout < float("inf")):
        raise UsageError(f"{TIMEOUT.flag}={timeout}: must be a number of seconds above 0.")
    default = ServerSettings()
    longest = chosen["longest-wait"]
    if longest is None:
        longest = default.longest_wait_s
    if not isinstance(longest, (int, float)) or isinstance(longest, bool) or not 0 <= longest < float("inf"):
        raise UsageError(f"{LONGEST_WAIT.flag}={longest}: must be a number of seconds, 0 or more.")
    return replace(
        default, base_url=url, key_variable=variable, timeout_s=float(timeout or default.timeout_s),
        concurrency=_positive("concurrency", chosen["concurrency"]) or default.concurrency,
        longest_wait_s=float(longest),
    )  # fmt: skip


def _stop_when_answered(wanted: bool | None, scoring: str | None) -> bool:
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


def _device_profile(text: str | None, own: Mapping[str, Any]) -> Chosen | None:
    if text is None:
        return None
    from pytest_slmsec.devices.profile import choose  # slower to import than all other settings

    return choose(text, own)


def _watts(number: Any) -> float | None:
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 < number < float("inf"):
        raise UsageError(f"{TDP.flag}={number}: must be a number of watts above 0.")
    return float(number)


def _one_of(key: str, text: str, allowed: tuple[str, ...] | list[str]) -> str:
    if text not in allowed:
        raise UsageError(f"--slmsec-{key}={text}: must be one of {', '.join(allowed)}.")
    return text
