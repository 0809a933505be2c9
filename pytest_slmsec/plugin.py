"""The pytest hooks, and nothing else: what they do stands in `cases`, `plan`, `run` and `reports`.

Hook reference: https://docs.pytest.org/en/stable/reference/reference.html#hooks
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import pytest

from pytest_slmsec import hookspec

if TYPE_CHECKING:
    from pytest_slmsec.core.items import Answer
    from pytest_slmsec.gating.pair_fixture import SlmPair
    from pytest_slmsec.session.plugin import SessionPlugin

SESSION: pytest.StashKey[SessionPlugin] = pytest.StashKey()


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Offer the extension points."""
    pluginmanager.add_hookspecs(hookspec)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare every option. A conftest that already has ``--model`` keeps it; ours is then ``--slmsec-model``."""
    from pytest_slmsec.config.options import MODEL, PLUGIN_OPTIONS

    group = parser.getgroup("slmsec", "small language models for security (pytest-slmsec)")
    for option in PLUGIN_OPTIONS:
        flags = [option.flag, "--slmsec-model"] if option is MODEL else [option.flag]
        try:
            group.addoption(*flags, dest=option.dest, help=option.help, **option.kwargs)
        except (ValueError, argparse.ArgumentError):
            group.addoption(*flags[1:], dest=option.dest, help=option.help, **option.kwargs)


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings: conftests are in by now, and pytest-benchmark, which asks for machine facts, comes later."""
    from pytest_slmsec.collection.parametrize import MARKER_HELP
    from pytest_slmsec.config.usage_error import usage_error
    from pytest_slmsec.core.errors import UsageError
    from pytest_slmsec.gating.marker import GATE_MARKER_HELP
    from pytest_slmsec.session.plugin import SessionPlugin

    config.addinivalue_line("markers", MARKER_HELP)
    config.addinivalue_line("markers", GATE_MARKER_HELP)
    try:
        session = SessionPlugin.from_config(config)
    except UsageError as error:
        raise usage_error(error) from None
    config.stash[SESSION] = session
    if session.active:
        config.pluginmanager.register(session, "slmsec-session")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """``-n auto`` with a model: one worker a GPU. Asked before anything is configured."""
    from pytest_slmsec.core.errors import UsageError
    from pytest_slmsec.distribute.hooks import auto_workers
    from pytest_slmsec.session.plugin import settings_of

    try:
        return auto_workers(settings_of(config))
    except UsageError:
        return None  # said when the plugin is configured


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise marked test functions over models and items."""
    from pytest_slmsec.collection.parametrize import parametrize
    from pytest_slmsec.gating.pair_fixture import parametrize_pairs

    session = metafunc.config.stash[SESSION]
    parametrize(metafunc, session.settings, session.takes_whole)
    parametrize_pairs(metafunc, session.settings, session.takes_whole)


@pytest.fixture
def answer(request: pytest.FixtureRequest) -> Answer | None:
    """The model's answer to one item: text, chosen option, log-probabilities, score, tokens.

    Only for tests marked ``slmsec``. None under ``--setup-only``, which must not run a model.
    """
    from pytest_slmsec.collection.cases import Case

    case = getattr(request, "param", None)
    if not isinstance(case, Case):
        raise pytest.UsageError(
            "The fixture `answer` needs a benchmark: mark the test with @pytest.mark.slmsec('cti-mcq')."
        )
    return request.config.stash[SESSION].answer(case)


@pytest.fixture
def slm_pair(request: pytest.FixtureRequest) -> SlmPair | None:
    """One benchmark on a candidate and its base, for a test marked ``slmsec_gate("cti-rcm", ...)``: `slm_pair.run()`
    measures both, judges the candidate, and fails where it is worse. None under ``--setup-only``.
    """
    from pytest_slmsec.gating.pair_fixture import SlmPair
    from pytest_slmsec.gating.pairing import PairCase

    case, option = getattr(request, "param", None), request.config.option
    if not isinstance(case, PairCase) or option.setuponly or option.setupplan:
        return None
    state = request.config.stash[SESSION].state
    return SlmPair(state.pair_runs, state.settings.data, case, request.node)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Free the engine, and end an interrupted run with the line that resumes it."""
    if (session := config.stash.get(SESSION, None)) is not None:
        session.finish()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Benchmarks that were skipped for want of a model say so, also without ``-rs``."""
    if not config.stash[SESSION].active:
        from pytest_slmsec.collection.parametrize import NO_MODEL

        skipped = terminalreporter.stats.get("skipped", ())
        if any(NO_MODEL in str(report.longrepr) for report in skipped if "no-model" in report.nodeid):
            terminalreporter.write_line(f"slmsec: {NO_MODEL}", yellow=True)


def pytest_report_teststatus(report: Any) -> tuple[str, str, Any] | None:
    """A valid measurement of a wrong answer has a status of its own."""
    payload = getattr(report, "slmsec", None)
    if payload is None or report.when != "call" or not report.passed or hasattr(report, "wasxfail"):
        return None
    score = payload["row"]["score"]
    return None if score is None or score["correct"] else ("wrong", "w", ("WRONG", {"yellow": True}))


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Add what a comparison of speeds needs to know about the machine."""
    if config.stash[SESSION].active:
        from pytest_slmsec.meters.device import machine_facts
        from pytest_slmsec.reports.benchmark_json import machine_info as update

        update(machine_info, machine_facts())
