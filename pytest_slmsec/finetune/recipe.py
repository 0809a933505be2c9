"""A recipe of ``slmsec finetune``: TOML read into data classes, with every key checked.

Names are those of the field: ``[training]`` takes the keys of TRL's ``SFTConfig``, ``[lora]`` those of PEFT's
``LoraConfig``, ``[quantization]`` those of transformers' ``BitsAndBytesConfig``. The first two are checked against the
installed packages (`trainer_settings`).
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.toml_files import check_keys, read_toml

LORA, QLORA, SFT = "lora", "qlora", "sft"
MODES = (LORA, QLORA, SFT)
FORMS = ("messages", "alpaca", "iio", "turn", "qa")
DROP, CUT, ERROR = "drop", "cut", "error"
TOO_LONG = (DROP, CUT, ERROR)
TABLES = ("data", "training", "lora", "quantization", "flow")
TOP = ("base", "mode", *TABLES)
COMPUTE_DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True, slots=True)
class DataSettings:
    """The table ``[data]``.

    Attributes:
        train, eval: files of rows; paths are relative to the recipe.
        eval_share: share of the training rows that is kept back for evaluation, where there is no file for it.
        form: one of `FORMS`; None: seen by the fields of each row.
        system: system turn of rows that bring none.
        too_long: what happens to rows longer than ``max_length``, one of `TOO_LONG`.
        allow_unlabelled: rows in which no token is trained are left out instead of refused.
    """

    train: tuple[Path, ...]
    eval: tuple[Path, ...] = ()
    eval_share: float = 0.0
    form: str | None = None
    system: str | None = None
    too_long: str = DROP
    allow_unlabelled: bool = False


@dataclass(frozen=True, slots=True)
class Quantization:
    """The table ``[quantization]``: how the frozen base is held in QLoRA (Dettmers et al. 2023, arXiv 2305.14314).

    Attributes: as in transformers' ``BitsAndBytesConfig``; 4 bits always.
    """

    bnb_4bit_quant_type: str = "nf4"
    bnb_4bit_use_double_quant: bool = True
    bnb_4bit_compute_dtype: str = "float32"


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """The table ``[flow]`` of ``slmsec flow``.

    Attributes:
        quants: quantisations of the merged model. suite: the tests that are run, relative to the working directory.
        benchmarks: patterns of benchmarks, as ``--slmsec-benchmarks`` takes them; (): all of the suite.
        qa: file of questions and answers of one's own, as ``--slmsec-qa`` takes it. limit: as ``--slmsec-limit``.
        preset: margins of the gate.
    """

    quants: tuple[str, ...] = ()
    suite: str = "benchmarks"
    benchmarks: tuple[str, ...] = ()
    qa: Path | None = None
    limit: str | None = None
    preset: str | None = None


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is trained, on what, and how.

    Attributes:
        path: the file. base: a model as ``--model`` takes it. mode: one of `MODES`.
        training, lora: keys of ``SFTConfig`` and ``LoraConfig`` as the file names them.
    """

    path: Path
    base: str
    mode: str
    data: DataSettings
    training: Mapping[str, Any] = field(default_factory=dict)
    lora: Mapping[str, Any] = field(default_factory=dict)
    quantization: Quantization = field(default_factory=Quantization)
    flow: FlowSettings = field(default_factory=FlowSettings)

    @property
    def name(self) -> str:
        """The name of its file without its ending."""
        return self.path.stem


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        UsageError: the file cannot be read, is no TOML, lacks a key, or has an unknown key or a value of the wrong
            kind; names the key, near matches and what to write.
    """
    table = read_toml(path, "docs/finetune.md")
    check_keys(f"{path}", table, TOP)
    for name in TABLES:
        if not isinstance(table.get(name, {}), dict):
            raise UsageError(f"{path}: {name} = {table[name]!r} must be a table: write [{name}].")
    reader = _Reader(path, "", table)
    base, mode = reader.text("base"), reader.choice("mode", MODES, LORA)
    if base is None:
        raise UsageError(f'{path} names no base: write, for example, base = "tinysec".')
    if mode != QLORA and "quantization" in table:
        raise UsageError(f'{path}: [quantization] is for mode = "qlora", and mode is "{mode}": take one of them out.')
    if mode == SFT and "lora" in table:
        raise UsageError(f'{path}: [lora] is for modes lora and qlora, and mode is "sft": take one of them out.')
    return Recipe(
        path, base, str(mode), _data(_Reader(path, "data", table.get("data", {}))), table.get("training", {}),
        table.get("lora", {}), _quantization(_Reader(path, "quantization", table.get("quantization", {}))),
        _flow(_Reader(path, "flow", table.get("flow", {}))),
    )  # fmt: skip


class _Reader:
    """Values of one table of a recipe, checked."""

    def __init__(self, path: Path, name: str, table: Mapping[str, Any]) -> None:
        self.path, self.name, self.table = path, name, table

    @property
    def where(self) -> str:
        return f"{self.path}: [{self.name}]" if self.name else f"{self.path}:"

    def bad(self, key: str, what: str) -> UsageError:
        return UsageError(f"{self.where} {key} = {self.table[key]!r}: {what}.")

    def text(self, key: str) -> str | None:
        value = self.table.get(key)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise self.bad(key, "write a text in quotes")
        return value

    def choice(self, key: str, choices: Collection[str], default: str | None = None) -> str | None:
        value = self.table.get(key, default)
        if value is not None and value not in choices:
            near = difflib.get_close_matches(str(value), choices, 1)
            hint = f"did you mean {near[0]!r}" if near else f"write one of {', '.join(choices)}"
            raise self.bad(key, hint)
        return None if value is None else str(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self.table.get(key, default)
        if not isinstance(value, bool):
            raise self.bad(key, "write true or false")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.table.get(key, [])
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(one, str) and one for one in values):
            raise self.bad(key, "write a text or a list of texts")
        return tuple(values)

    def paths(self, key: str) -> tuple[Path, ...]:
        return tuple(self.path.parent / Path(text).expanduser() for text in self.texts(key))

    def share(self, key: str) -> float:
        value = self.table.get(key, 0.0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
            raise self.bad(key, "write a share from 0 to below 1")
        return float(value)


def _data(reader: _Reader) -> DataSettings:
    check_keys(reader.where, reader.table, DataSettings.__dataclass_fields__)
    found = DataSettings(
        reader.paths("train"), reader.paths("eval"), reader.share("eval_share"), reader.choice("form", FORMS),
        reader.text("system"), str(reader.choice("too_long", TOO_LONG, DROP)), reader.flag("allow_unlabelled", False),
    )  # fmt: skip
    if not found.train:
        raise UsageError(f'{reader.where} names no training data: write train = "train.jsonl".')
    if found.eval and found.eval_share:
        raise UsageError(f"{reader.where} has both eval and eval_share: keep one of the two.")
    if absent := [path for path in (*found.train, *found.eval) if not path.is_file()]:
        raise UsageError(f"{reader.where} names {absent[0]}, which is no file: correct the path.")
    return found


def _quantization(reader: _Reader) -> Quantization:
    check_keys(reader.where, reader.table, Quantization.__dataclass_fields__)
    plain = Quantization()
    return Quantization(
        str(reader.choice("bnb_4bit_quant_type", ("nf4", "fp4"), plain.bnb_4bit_quant_type)),
        reader.flag("bnb_4bit_use_double_quant", plain.bnb_4bit_use_double_quant),
        str(reader.choice("bnb_4bit_compute_dtype", COMPUTE_DTYPES, plain.bnb_4bit_compute_dtype)),
    )


def _flow(reader: _Reader) -> FlowSettings:
    check_keys(reader.where, reader.table, FlowSettings.__dataclass_fields__)
    qa = reader.paths("qa")
    if len(qa) > 1:
        raise reader.bad("qa", "name one file")
    return FlowSettings(
        reader.texts("quants"), reader.text("suite") or FlowSettings().suite, reader.texts("benchmarks"),
        qa[0] if qa else None, reader.text("limit"), reader.text("preset"),
    )  # fmt: skip
