"""A run within a device profile: limits, feasibility, latency of one request at a time, and what is said of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from pytest_slmsec.collection.cases import Case, Evaluation
from pytest_slmsec.config.settings import Settings
from pytest_slmsec.config.usage_error import usage_error
from pytest_slmsec.core.errors import ModelError, UsageError, one_sentence
from pytest_slmsec.core.items import Request
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.devices import feasibility, latency
from pytest_slmsec.devices.launch import check_limited, find_launcher, limited_by, relaunch
from pytest_slmsec.devices.limits import INSIDE, MemoryGuard, Restore, limit_process
from pytest_slmsec.devices.machine import check_fits, this_machine
from pytest_slmsec.devices.profile import APPROXIMATE, ENFORCED, OBSERVED, OPTION, Chosen
from pytest_slmsec.execution.model_loader import Resident


class DeviceRun:
    """What a device profile does in one run.

    Raises:
        UsageError: the profile does not fit this machine, a model that is not computed here, or several processes.
    """

    def __init__(self, chosen: Chosen, settings: Settings, distributed: bool) -> None:
        self.profile, self._settings = chosen.profile, settings
        self.launcher = limited_by(os.environ)
        self.how = ENFORCED if self.launcher is not None else chosen.how
        if self.how not in (ENFORCED, OBSERVED):
            self.how = APPROXIMATE if sys.platform.startswith("linux") else OBSERVED
        self.held: list[str] = []
        self._restore: Restore = _nothing
        self._check(distributed)
        self._refused: dict[ModelSpec, str] = {}
        self._latencies: dict[Evaluation, latency.SingleRequests] = {}
        self._warm: set[ModelSpec] = set()

    def _check(self, distributed: bool) -> None:
        for spec in self._settings.models:
            if spec.source in ("server", "replay"):
                raise UsageError(f"{OPTION}={self.profile.name}: {spec.name} is not computed by this process, so no "
                                 "profile can limit it.")  # fmt: skip
        if self._settings.merge:
            raise UsageError(
                f"{OPTION}={self.profile.name}: where shards are merged nothing is computed: leave it out."
            )
        if distributed:
            raise UsageError(f"{OPTION}={self.profile.name}: a device has one process: leave out -n.")
        if self.launcher is None:
            check_fits(self.profile, this_machine(), self._settings.engine.device)
        else:
            check_limited(self.profile, self.launcher)

    def limit(self) -> None:
        """Make the limits hold, before torch is loaded."""
        if self.how == OBSERVED:
            return
        self.held, self._restore = limit_process(self.profile, self._share)
        if self.launcher is not None:
            self.held.insert(0, f"control group by {self.launcher}")

    @property
    def _share(self) -> float:
        return INSIDE if self.launcher is not None else 1.0

    def release(self) -> None:
        """Take the limits back."""
        self._restore()
        self._restore = _nothing

    def guard(self) -> AbstractContextManager[None]:
        """A context in which memory that runs out is one sentence."""
        return nullcontext() if self.how == OBSERVED else MemoryGuard(self.profile, self._share)()

    @property
    def line(self) -> str:
        """What is printed at the start."""
        held = f": {', '.join(self.held)}" if self.held else ": limits are compared afterwards"
        return f"device profile {self.profile.words}, {self.how}{held}"

    def plan(self, cases: Iterable[Case]) -> list[str]:
        """Find the models that cannot fit, before anything is loaded. A sentence on each."""
        longest: dict[ModelSpec, tuple[int, int]] = {}
        for evaluation in dict.fromkeys(case.evaluation for case in cases):
            if evaluation.dataset.kind == "hub":
                continue  # not read before its first case needs it
            chars, new = longest.get(evaluation.model, (0, 0))
            texts = (sum(len(turn.content) for turn in item.messages()) for item in evaluation.items)
            limit = evaluation.max_new_tokens or evaluation.task.max_new_tokens
            longest[evaluation.model] = max(chars, max(texts, default=0)), max(new, limit)
        for spec, (chars, new) in longest.items():
            needed = feasibility.needed_bytes(spec, self._settings.engine, chars, new)
            why = feasibility.why_not(spec, self.profile, needed)
            if why is not None:
                self._refused[spec] = why
        return list(self._refused.values())

    def check(self, spec: ModelSpec) -> None:
        """Refuse a model that cannot fit, before it is loaded.

        Raises:
            ModelError: with the memory that it needs.
        """
        if spec in self._refused:
            raise ModelError(self._refused[spec])

    def after_window(self, evaluation: Evaluation, resident: Resident, requests: Sequence[Request]) -> None:
        """Time one request at a time, once for each benchmark and model, after its first window."""
        if evaluation in self._latencies or not requests:
            return
        warm = evaluation.model in self._warm
        self._warm.add(evaluation.model)
        try:
            with self.guard():
                found = latency.measure(resident.engine, requests[: latency.RUNS], warm)
        except Exception as error:  # the answers are there already, and an engine of the user's own may raise anything
            found = latency.SingleRequests(0, None, None, one_sentence(evaluation.model.name, error))
        self._latencies[evaluation] = found

    def facts(self, evaluation: Evaluation) -> dict[str, Any]:
        """What the record says of one benchmark on one model."""
        measured = self._latencies.get(evaluation)
        profile = {**self.profile.to_json(), "how": self.how, "held": list(self.held)}
        return {"device_profile": profile, "single_request": None if measured is None else measured.to_json()}


def device_run(config: pytest.Config, settings: Settings) -> DeviceRun | None:
    """The device profile of a run, or None.

    Raises:
        pytest.UsageError: it cannot be used here.
    """
    if settings.device_profile is None:
        return None
    distributed = hasattr(config, "workerinput") or getattr(config.option, "dist", "no") != "no"
    try:
        return DeviceRun(settings.device_profile, settings, distributed)
    except UsageError as error:
        raise usage_error(error) from None


def launched(config: pytest.Config, settings: Settings) -> int | None:
    """The exit status of the run inside limits that a launcher holds, or None where this process is to run itself.

    Raises:
        pytest.UsageError: limits are to be enforced and nothing here can.
    """
    chosen, option = settings.device_profile, config.option
    own = chosen is None or chosen.how in (APPROXIMATE, OBSERVED) or limited_by(os.environ) is not None
    if chosen is None or own or not settings.models or option.collectonly or option.help:
        return None
    launcher = find_launcher(chosen.profile)
    if launcher is None and chosen.how == ENFORCED:
        raise usage_error(f"{OPTION}={chosen.profile.name}:{ENFORCED}: neither systemd-run nor docker (with an image in"
                          " the profile) can limit a process here: leave out :enforced.")  # fmt: skip
    if launcher is None:
        return None
    arguments = [str(argument) for argument in config.invocation_params.args]
    return relaunch(launcher, chosen.profile, arguments, sys.executable, config.invocation_params.dir)


def _nothing() -> None:
    pass
