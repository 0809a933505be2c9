"""Who is judged against whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_slmsec.core.errors import CompareError, UsageError
from pytest_slmsec.core.models import DTYPES, ModelSpec
from pytest_slmsec.gates.records.benchmark_run import Arm

LIVE = "live:"


@dataclass(frozen=True, slots=True)
class Duel:
    """A candidate of this run, and what it is judged against.

    Attributes:
        base: measured in this run as well; None where the base is stored.
        stored: the arms of a stored base. twin: its base, where this run measures that too although scores are judged
            against the stored one; speed and distance need both models loaded.
    """

    candidate: ModelSpec
    base: ModelSpec | None
    stored: tuple[Arm, ...] = ()
    twin: ModelSpec | None = None

    @property
    def beside(self) -> ModelSpec | None:
        """The base that can be loaded beside the candidate."""
        return self.base or self.twin


def is_plain(spec: ModelSpec) -> bool:
    """Whether a model is its base as it was published."""
    return spec.quant is None and spec.adapter is None


def is_unquantised(spec: ModelSpec) -> bool:
    """Whether a model computes with the weights of its base and adapter, in whatever dtype."""
    return spec.quant is None or spec.quant in DTYPES


def live_duels(models: Sequence[ModelSpec], base_name: str | None) -> list[Duel]:
    """Each model that is made from a base against that base; with `base_name`, every other model against that one.

    ``base-fp16`` is judged against ``base``. A quantised model without ``base`` in the run is judged against
    ``base-fp16`` where that is there. ``base-gptq4+adapter`` is judged against ``base+adapter``, and only without that
    against ``base``.

    Raises:
        UsageError: no model of the run has that name.
    """
    if base_name is not None:
        named = [spec for spec in models if base_name in spec.names]
        if not named:
            raise UsageError(f'[tool.slmsec.gate] baseline = "{LIVE}{base_name}": this run has no --model={base_name}.')
        return [Duel(spec, named[0]) for spec in models if spec is not named[0]]
    found = [(spec, next(iter(_bases(spec, models)), None)) for spec in models]
    return [Duel(spec, base) for spec, base in found if base is not None]


def _bases(candidate: ModelSpec, models: Sequence[ModelSpec]) -> list[ModelSpec]:
    """The models of a run that a candidate was made from, the nearest first."""
    same = [spec for spec in models if spec.base == candidate.base and is_unquantised(spec) and spec != candidate]
    tuned = [spec for spec in same if spec.adapter == candidate.adapter]
    plain = [spec for spec in same if spec.adapter is None] if candidate.adapter is not None else []
    if candidate.quant is None:
        return _widest_first(plain)
    found = _widest_first(tuned) + _widest_first(plain)
    # One dtype is not judged against another: neither is the base of the other.
    return [spec for spec in found if not is_unquantised(candidate) or spec.quant is None or spec in plain]


def _widest_first(specs: Sequence[ModelSpec]) -> list[ModelSpec]:
    """Without a dtype in its name first; otherwise in the order of the command line."""
    return sorted(specs, key=lambda spec: spec.quant is not None)


def with_a_base(models: Sequence[ModelSpec], arms: Sequence[Arm]) -> list[ModelSpec]:
    """The models that are stored themselves, or whose base is; an update of a baseline takes in the others as new."""
    stored = {arm.model for arm in arms} | {arm.facts["base"] for arm in arms}
    return [spec for spec in models if spec.name in stored or spec.base in stored]


def stored_duels(models: Sequence[ModelSpec], arms: Sequence[Arm], where: str) -> list[Duel]:
    """Each model against the stored one of its name, else its unquantised base, else the only one in the file.

    Raises:
        CompareError: none of these is there.
    """
    twins = {duel.candidate: duel.base for duel in live_duels(models, None)}
    return [Duel(spec, None, _stored_base(spec, arms, where), twins.get(spec)) for spec in models]


def _stored_base(spec: ModelSpec, arms: Sequence[Arm], where: str) -> tuple[Arm, ...]:
    names = list(dict.fromkeys(arm.model for arm in arms))
    same = [a for a in arms if a.facts["base"] == spec.base]
    own = spec.adapter and spec.adapter.name
    plain = [
        a.model
        for adapter in dict.fromkeys((own, None))
        for quants in ((None,), DTYPES)
        for a in same
        if a.facts["quant"] in quants and a.facts.get("adapter") == adapter
    ]
    chosen = spec.name if spec.name in names else plain[0] if plain else names[0] if len(names) == 1 else None
    if chosen is None:
        raise CompareError(f"{where} holds {', '.join(names)}, but neither {spec.name} nor {spec.base}: there is no "
                           "base to judge it against.")  # fmt: skip
    return tuple(arm for arm in arms if arm.model == chosen)
