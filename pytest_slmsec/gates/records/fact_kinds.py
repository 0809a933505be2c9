"""What kind of value each fact of a stored run is, so that whoever reads one can rely on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_slmsec.core.errors import CompareError

Kind = tuple[str, Callable[[Any], bool]]
AGAIN = "measure it again"
LARGEST = 1e18
"""No measurement is larger, in whatever unit; squares of what is smaller can still be computed."""


def is_number(value: Any) -> bool:
    """Whether a value is a number that a measurement can have."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST


TEXT: Kind = "a text", lambda value: isinstance(value, str)
NUMBER: Kind = "a finite number", is_number
FLAG: Kind = "true or false", lambda value: isinstance(value, bool)
TABLE: Kind = "a table", lambda value: isinstance(value, Mapping)
LIST: Kind = "a list", lambda value: isinstance(value, Sequence) and not isinstance(value, str)

NEEDED: Mapping[str, Kind] = {
    "metric": TEXT, "base": TEXT, "mode": TEXT, "scorer": TEXT, "scale": NUMBER, "higher_is_better": FLAG,
    "by_choice": FLAG, "decoding": TABLE,
}  # fmt: skip
"""Facts that every run has."""
OPTIONAL: Mapping[str, Kind] = {
    **dict.fromkeys(("quant", "adapter", "task", "source", "file", "correct_bits", "parsed_bits", "energy_source",
                     "slmsec_version", "dataset_sha256", "items_sha256", "decoding_sha256"), TEXT),
    **dict.fromkeys(("score", "score_low", "score_high", "accuracy", "n_correct", "n_errors", "n_expected", "n_fragile",
                     "n_hit_limit", "n_items", "n_scored", "n_valid", "largest_batch", "new_tokens", "prompt_tokens",
                     "thought_tokens", "decode_tokens_per_s", "prefill_tokens_per_s", "time_to_first_token_s",
                     "time_to_first_token_mean_s", "peak_gpu_bytes", "peak_private_bytes", "peak_rss_bytes",
                     "gpu_process_bytes", "gpu_used_bytes", "idle_power_w", "energy_j", "energy_estimate_j",
                     "energy_per_item_j", "energy_per_correct_j"), NUMBER),
    **dict.fromkeys(("constant", "device_profile", "engine", "extras", "judges", "peaks_again", "perturbed", "reasons",
                     "single_request"), TABLE),
    **dict.fromkeys(("notes", "sentinels"), LIST),
    "binary": FLAG,
}  # fmt: skip
"""Facts that a run may lack, or have as null."""
INNER: Mapping[str, Mapping[str, Kind]] = {
    "constant": {"value": NUMBER},
    "device_profile": {"name": TEXT, "how": TEXT, "held": LIST},
    "engine": {"model_bytes": NUMBER, "load_s": NUMBER, "extra": TABLE},
    "single_request": {"n": NUMBER, "p50_s": NUMBER, "p90_s": NUMBER},
}
"""Values inside some of the tables, which may be null as well."""


def check_facts(facts: Mapping[str, Any], name: str) -> None:
    """Refuse facts of another kind.

    Raises:
        CompareError: names the fact and what it should be.
    """
    _check(facts, NEEDED, name, needed=True)
    _check(facts, OPTIONAL, name)
    for key, inner in INNER.items():
        _check(facts.get(key) or {}, inner, f"{name}, {key}")


def check_table(value: Any, what: str, where: str) -> None:
    """Refuse a part of a file that is there and is no table.

    Raises:
        CompareError: names it.
    """
    if value is not None and not isinstance(value, Mapping):
        raise CompareError(f"{where} is damaged: {what} is not a table; {AGAIN}.")


def _check(found: Mapping[str, Any], kinds: Mapping[str, Kind], name: str, needed: bool = False) -> None:
    for key, (words, fits) in kinds.items():
        value = found.get(key)
        if (value is not None or needed) and not fits(value):
            raise CompareError(f"{name} is damaged: {key} is not {words}; {AGAIN}.")
