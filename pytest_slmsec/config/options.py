"""The table of options: the plugin and the `slmsec` command declare them from here, and `config.settings` reads them.

Every pytest session imports this module, also one that names no model: it must stay light.

Precedence: command line, then environment variable (where there is one), then ``[tool.slmsec]`` of pyproject.toml or
the same keys in ``slmsec.toml``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_slmsec.core.choices import DTYPES, PRESETS, Mode

WRONG = ("pass", "xfail", "fail")
SENTINELS = ("warn", "fail", "off")
PROMPTS = ("published", "chat")
ADAPTER_MODES = ("live", "merged")
ADAPTER_BASES = ("named", "same")
THINKING_MODES = ("auto", "on", "off")
RULE = "rule"
"""Value of ``--slmsec-judge`` with which no model grades answers."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the command line.

    Attributes:
        name: without the leading dashes, such as ``slmsec-limit``.
        help: one or two sentences. kwargs: further arguments of `argparse.add_argument`.
        env: environment variable that is read when the command line does not give the option.
        configurable: the option may be set in ``[tool.slmsec]``, by its `key`.
    """

    name: str
    help: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    env: str | None = None
    configurable: bool = True

    @property
    def flag(self) -> str:
        """The option as typed: ``--slmsec-limit``."""
        return f"--{self.name}"

    @property
    def dest(self) -> str:
        """Attribute of the parsed command line, ``slmsec_limit``; the prefix keeps it apart from other plugins."""
        return "slmsec_" + self.key.replace("-", "_")

    @property
    def key(self) -> str:
        """Key in a configuration file: ``limit``."""
        return self.name.removeprefix("slmsec-")

    def given(self, values: Mapping[str, Any]) -> Any:
        """Its value on the command line (`values`, by `dest`), else in the environment, else None."""
        value = values.get(self.dest)
        if value is None and self.env:
            return os.environ.get(self.env) or None
        return value


MODEL = Option(
    "model",
    "Model to evaluate: base[-quant], a local directory, hf:org/name[@revision], one of these behind vllm: for vLLM to "
    "run it (docs/vllm.md), openai:NAME or ollama:NAME for what a server runs (docs/servers.md), or replay:PATH[::NAME]"
    " for recorded answers; repeated or comma-separated (tinysec, tinysec-gptq4, phi3-gptq4, ./my-model, "
    "hf:org/name@main, openai:gpt-4.1-mini, replay:run.jsonl). `slmsec list` shows the known names.",
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
    "Ollama: http://localhost:11434). A registry entry with a `base_url` of its own keeps it. As a key it may be a "
    "list: servers that run the same model.",
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
    "Most requests in flight to each server (default 8).",
    {"type": int, "metavar": "N"},
)
TIMEOUT = Option(
    "slmsec-timeout",
    "Seconds that one request to a server may take (default 120).",
    {"type": float, "metavar": "SECONDS"},
)
LONGEST_WAIT = Option(
    "slmsec-longest-wait",
    "Seconds that a request waits for a server that asks to wait, such as one with a limit a minute (default 180), "
    "counted from its last answer to any request. One that asks for more is an error.",
    {"type": float, "metavar": "SECONDS"},
)
SERVER_OPTIONS = (BASE_URL, API_KEY_ENV, CONCURRENCY, TIMEOUT, LONGEST_WAIT)
DTYPE = Option(
    "slmsec-dtype",
    "What models without a dtype in their name compute in: auto (default: fp32 on a CPU, the checkpoint's own "
    "elsewhere), fp32, bf16, fp16.",
    {"choices": ("auto", *DTYPES)},
)
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
GUESSES = Option(
    "slmsec-guesses",
    "auto (default): on a CPU, while at most 16 answers run, guess what follows the last tokens of an answer where "
    "they stand in its text before, and check several tokens in one step. No text changes. Texts that repeat are "
    "faster, so the decode speed is not the model's alone. off: one token a step, as under a device profile and for "
    "the speed gate.",
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
ADAPTER_BASE = Option(
    "slmsec-adapter-base",
    "named (default): an adapter is loaded over a hub model only where it names that model as its base. same: you say "
    "that the base it names has the same weights under another id (unsloth/NAME-bnb-4bit for org/NAME).",
    {"choices": ADAPTER_BASES},
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
PAIR_JUDGE = Option(
    "slmsec-pair-judge",
    "A model that says which answer is better, that of a candidate or that of its base, on free answers (secchat), "
    "each pair in both orders. Shown beside the gates; `[tool.slmsec.gate.judge]` makes it count (docs/secchat.md).",
    {"metavar": "NAME"},
)
SIMILARITY = Option(
    "slmsec-similarity-model",
    "Sentence-embedding model that compares answers with references by meaning (SEvenLLM, qa): a directory or "
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
THINKING = Option(
    "slmsec-thinking",
    "Whether models that can think before they answer do so: auto (default: as the chat template or server does by "
    "itself), on, or off (docs/reasoning-models.md). Runs that differ in it are not compared.",
    {"choices": THINKING_MODES},
)
TEMPLATE = Option(
    "slmsec-template",
    "A variable of the chat template, such as enable_thinking=false or reasoning_effort=low; repeated. A value is read "
    "as JSON where it is such, else as text. Runs that differ in it are not compared.",
    {"action": "append", "metavar": "KEY=VALUE"},
)
THOUGHT_TOKENS = Option(
    "slmsec-thought-tokens",
    "Most tokens that a reasoning model may think before its answer (default 4096); the token limit of a benchmark is "
    "for the answer behind the thought.",
    {"type": int, "metavar": "N"},
)
BENCHMARKS = Option(
    "slmsec-benchmarks",
    "Ask only these benchmarks of those that are collected: names or patterns (`cti-mcq`, `cti-*`); repeated or "
    "comma-separated. The summary names the others.",
    {"action": "append", "metavar": "NAMES"},
)
QA = Option(
    "slmsec-qa",
    "Ask the questions of your own file in the place of the benchmark qa: CSV, JSON lines or XLSX with the columns "
    "question and answer, and if wanted facts, category and split (docs/qa.md).",
    {"metavar": "FILE"},
)
QA_COLUMNS = Option(
    "slmsec-qa-columns",
    "Columns of that file that are called otherwise, such as question=Frage,answer=Antwort.",
    {"metavar": "NAME=COLUMN,..."},
)
TRAINED_ON = Option(
    "slmsec-trained-on",
    "Data that the models were trained on (CSV, JSON lines, JSON, XLSX, plain text; repeated): items whose question "
    "stands in it are told, with the score without them (docs/qa.md).",
    {"action": "append", "metavar": "FILE"},
)
DEVICE_PROFILE = Option(
    "slmsec-device-profile",
    "Run within the limits of a device (docs/devices.md): raspberry-pi-5, jetson-orin-nano, laptop-8gb, soc-server, "
    "docker-sim, or your own of [tool.slmsec.devices]. :enforced, :approximate or :observed says how they hold; "
    "without it as strictly as this machine can. Costs are compared under one profile only.",
    {"metavar": "NAME[:HOW]"},
    configurable=False,
)
TDP = Option(
    "slmsec-tdp",
    "Watts that the processor or GPU may take at most (its TDP). Fills energy_estimate_j in the record where nothing "
    "counts energy, with the method beside it; it is no measurement, and no gate looks at it.",
    {"type": float, "metavar": "WATTS"},
)
PERTURB = Option(
    "slmsec-perturb",
    "Ask each item in other texts as well: typo, case, space, homoglyph, zerowidth, defang, template, options, inject; "
    "each with a number of variants if wanted (typo:2,options:3). Their group is cti-mcq+robust (docs/robustness.md).",
    {"metavar": "KIND[:n],..."},
)
POOL = Option(
    "slmsec-pool",
    "Have replicas on Ray answer (docs/distribute.md): ray:local:N starts N on this machine, ray://HOST uses a "
    "cluster, ray:auto the one that this machine is a node of. Items, scores and the journal stay in this process.",
    {"metavar": "ray:local:N|ray://HOST"},
)
RUN_OPTIONS = (
    BENCHMARKS,
    PERTURB,
    LM_EVAL,
    QA,
    QA_COLUMNS,
    TRAINED_ON,
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
    THINKING,
    TEMPLATE,
    THOUGHT_TOKENS,
    Option(
        "slmsec-window",
        "Items handed to the engine at a time (default 256). Larger windows batch better; -x and a crash lose more.",
        {"type": int, "metavar": "N"},
    ),
    BATCH_TOKENS,
    PACKING,
    GUESSES,
    FRAGILE,
    ADAPTER,
    ADAPTER_BASE,
    STOP_WHEN_ANSWERED,
    DEVICE,
    DTYPE,
    DEVICE_PROFILE,
    TDP,
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
        "slmsec-shard",
        "Measure one part of the run, 2/4 for the second of four, for example in an array job. Nothing is judged; "
        "--slmsec-merge puts the parts together (docs/distribute.md).",
        {"metavar": "I/N"},
        configurable=False,
    ),
    Option(
        "slmsec-merge",
        "Take all answers from the journal of a shard (FILE), or of several in a folder; may be repeated. All other "
        "arguments are those of the shards. No model is loaded.",
        {"action": "append", "metavar": "FILE"},
        configurable=False,
    ),
    POOL,
    Option(
        "slmsec-transcript",
        "Write every item as one JSON line to FILE: prompt, answer, score, tokens.",
        {"metavar": "FILE"},
    ),
    JUDGE,
    EXPANDER,
    PAIR_JUDGE,
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
        "slmsec-report",
        "Write one HTML page about the run to FILE: verdicts, scores, costs, every item (docs/report.md).",
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
