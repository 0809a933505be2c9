"""What `slmsec list` prints: models, quantisations and benchmarks, with what is installed and what is on disk."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import Registry
from pytest_slmsec.core.models import DTYPES, ModelSpec
from pytest_slmsec.core.paths import cache_dir
from pytest_slmsec.core.wrap import wrapped
from pytest_slmsec.engines.common.checkpoint import MANIFEST
from pytest_slmsec.engines.common.loading import package_file
from pytest_slmsec.quantize.manifest import CACHE_SUBDIR, package_version
from pytest_slmsec.quantize.registry import QUANTIZERS, Quantizer
from pytest_slmsec.tasks.registry import tasks

WEIGHTS = ("*.safetensors", "*.gguf", "*.onnx")
ACCEPTED = "*"
"""Behind the licence of a model whose licence has to be accepted on the hub."""
WIDTH = 80
LABEL_WIDTH = 11
MADE = "      made: "


@dataclass(frozen=True, slots=True)
class Made:
    """A quantised model on disk: its base and quantisation, where it lies, and how much it weighs."""

    base: str
    quant: str
    directory: Path
    weight_bytes: int


def models_made(shelf: Path) -> list[Made]:
    """The quantised models in a folder of the cache. Folders without a readable manifest are skipped."""
    found = []
    for path in sorted(shelf.glob(f"*/{MANIFEST}")):
        try:
            manifest = json.loads(path.read_text("utf-8"))
            made = Made(manifest["base"], manifest["recipe"]["quant"], path.parent, manifest["weight_bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        found.append(made)
    return found


def is_downloaded(spec: ModelSpec) -> bool:
    """Whether the weights of a hub model are downloaded, in the revision that would be loaded."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    downloads = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=spec.location, repo_type="model")
    branch = downloads / "refs" / (spec.revision or "main")  # the commit that it stood for when it was fetched
    commit = branch.read_text("utf-8").strip() if branch.is_file() else spec.revision or "*"
    patterns = (spec.file,) if spec.file else WEIGHTS
    return any(True for pattern in patterns for _ in (downloads / "snapshots").glob(f"{commit}/{pattern}"))


def here(spec: ModelSpec) -> str:
    """Whether the weights are on this machine: ``yes``, ``-`` (not downloaded), ``missing``, or ``server``."""
    if spec.embedded:
        return "yes"
    if spec.source == "server":
        return "server"
    if spec.source == "package":
        return "missing" if package_file(spec) is None else "yes"
    if spec.source == "hub":
        return "yes" if is_downloaded(spec) else "-"
    return "yes" if Path(spec.location).exists() else "missing"


def list_lines(registry: Registry) -> list[str]:
    """The three tables, at most 80 columns wide."""
    return [
        *_model_lines(registry, models_made(cache_dir() / CACHE_SUBDIR)),
        "",
        *_quantisation_lines(),
        "",
        *_benchmark_lines(),
    ]


def _model_lines(registry: Registry, made: Iterable[Made]) -> list[str]:
    quants: dict[str, dict[str, None]] = {}
    for one in made:
        quants.setdefault(one.base, {})[one.quant] = None
    specs = {name: parse_model(name, registry, tuple(QUANTIZERS)) for name in registry}
    licences = {name: f"{spec.licence or 'unknown'}{ACCEPTED if spec.gated else ''}" for name, spec in specs.items()}
    widths = max(map(len, registry)), max(map(len, licences.values()))
    lines = [
        "models (--model=NAME, NAME-QUANT or NAME+ADAPTER; more: `slmsec list NAME`):",
        f"  {'':{widths[0]}}  {'context':>7}  {'licence':{widths[1]}}  {'chat':4}  here",
    ]
    for name, spec in specs.items():
        context = f"{spec.context_tokens:,}" if spec.context_tokens else "?"
        line = f"  {name:{widths[0]}}  {context:>7}  {licences[name]:{widths[1]}}  {_chat(spec):4}  {here(spec)}"
        lines += [line, *(_wrapped(MADE, quants[name]) if name in quants else ())]
    floating = [name for name, spec in specs.items() if spec.source == "hub" and not spec.is_pinned]
    return [
        *lines,
        f"  {ACCEPTED} to be accepted on its hub page first",
        *(wrapped(f"  not pinned to a commit of the hub: {', '.join(floating)}", WIDTH, "  ") if floating else ()),
        "  also: a directory, hf:org/name, openai:NAME and ollama:NAME for what a server",
        "  runs (--slmsec-base-url=URL), and replay:PATH for recorded answers",
    ]


def _chat(spec: ModelSpec) -> str:
    return {True: "yes", False: "no", None: "?"}[spec.chat_template]


def _wrapped(line: str, words: Iterable[str]) -> list[str]:
    """`line` wrapped at word boundaries."""
    lines, indent = [line], " " * len(line)
    for word in words:
        if len(lines[-1]) + len(word) > WIDTH and lines[-1].strip():
            lines.append(indent)
        lines[-1] += f"{word} "
    return [one.rstrip() for one in lines]


def _quantisation_lines() -> list[str]:
    by_package: dict[str, list[Quantizer]] = {}
    for quantizer in QUANTIZERS.values():
        by_package.setdefault(quantizer.package, []).append(quantizer)
    lines = ["quantisations (--model=NAME-QUANT; made by hand: `slmsec quantize NAME QUANT`):"]
    for package, some in by_package.items():
        lines += _wrapped("  ", (one.name for one in some))
        lines += (f"      {line}" for line in _state(package, some[0]))
    return [*lines, f"dtypes: {', '.join(DTYPES)}, without anything to make"]


def _state(package: str, quantizer: Quantizer) -> list[str]:
    if version := package_version(package):
        return [f"{package} {version}"]
    if quantizer.environment:
        making = f"tox run -e {quantizer.environment} -- slmsec quantize NAME {quantizer.name}"
        return [f"{package} is not installed; in a clone of pytest-slmsec:", making]
    return [f"{package} is not installed: pip install 'pytest-slmsec[{quantizer.extra}]'"]


def _benchmark_lines() -> list[str]:
    width = max(map(len, tasks()))
    return [
        "benchmarks (items published):",
        *(f"  {task.name:{width}} {task.n_items:>7,}  {task.metric.name}" for task in tasks().values()),
    ]


def model_lines(name: str, registry: Registry) -> list[str]:
    """Everything known about one model, one fact a line.

    Raises:
        UnknownModelError: there is no such model.
    """
    spec = parse_model(name, registry, tuple(QUANTIZERS))
    made = [one for one in models_made(cache_dir() / CACHE_SUBDIR) if one.base == spec.base]
    facts: Mapping[str, str | None] = {
        "location": _location(spec),
        "revision": _revision(spec) if spec.source == "hub" else None,
        "adapter": spec.adapter.location if spec.adapter else None,
        "context": f"{spec.context_tokens:,} tokens" if spec.context_tokens else "as its configuration says",
        "licence": (spec.licence or "unknown") + (", to be accepted on its hub page first" if spec.gated else ""),
        "template": {True: "its own", False: "none", None: "unknown"}[spec.chat_template],
        "engine": None if spec.file else spec.engine,
        "here": here(spec),
    }
    lines = [f"  {label:{LABEL_WIDTH}}{value}" for label, value in facts.items() if value is not None]
    for one in made:
        lines.append(f"  {one.quant:{LABEL_WIDTH}}{one.weight_bytes / 2**20:,.1f} MiB in {one.directory}")
    return [spec.name, *lines]


def _revision(spec: ModelSpec) -> str:
    if spec.is_pinned:
        return str(spec.revision)
    return f"{spec.revision or 'the newest'}, not pinned to a commit; a run records the one it takes"


def _location(spec: ModelSpec) -> str:
    if spec.source == "server":
        places = spec.base_url or "--slmsec-base-url"
        return f"{spec.location} at {places if isinstance(places, str) else ', '.join(places)}"
    if spec.source == "package":
        return f"package:{spec.location}/{spec.file}"
    where = f"hf:{spec.location}" if spec.source == "hub" else spec.location
    return where + (f"::{spec.file}" if spec.file else "")
