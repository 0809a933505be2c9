"""The pytest hooks, and nothing else: what they do stands in `collection`, `session`, `gating` and `reports`.

A session that names no model and has no test marked ``slmsec`` imports this module, `hookspec`, `config.options` and
`core.choices`, and nothing more of this package: all other imports stand inside the hooks that need them.

Hook reference: https://docs.pytest.org/en/stable/reference/reference.html#hooks
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import pytest

from pytest_slmsec import hookspec
from pytest_slmsec.config.options import DEVICE_PROFILE, MODEL, PLUGIN_OPTIONS
from pytest_slmsec.core.choices import MARKER

if TYPE_CHECKING:
    from pytest_slmsec.config.settings import Settings
    from pytest_slmsec.core.items import Answer
    from pytest_slmsec.gating.pair_fixture import SlmPair
    from pytest_slmsec.session.plugin import SessionPlugin

SESSION: pytest.StashKey[SessionPlugin] = pytest.StashKey()
"""Set where a model was named."""
SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
"""Set once they were needed; see `_settings`."""
MARKERS = (
    "slmsec(benchmark): run this test once for every item of a benchmark (a name such as 'cti-mcq', or a "
    "pytest_slmsec.Task) and every --model; the test takes the fixture `answer`.",
    "slmsec_gate([benchmark], max_drop='2pt', max_increase=0.1, metric=..., required=True, early_stop='obf', "
    "reason=..., expires=...): what the gate tolerates on the benchmark of this test; the keys are those of "
    "[tool.slmsec.gate.BENCHMARK]. A test that takes the fixture `slm_pair` names its benchmark.",
)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Offer the extension points."""
    pluginmanager.add_hookspecs(hookspec)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare every option. A conftest that already has ``--model`` keeps it; ours is then ``--slmsec-model``."""
    group = parser.getgroup("slmsec", "small language models for security (pytest-slmsec)")
    for option in PLUGIN_OPTIONS:
        flags = [option.flag, "--slmsec-model"] if option is MODEL else [option.flag]
        try:
            group.addoption(*flags, dest=option.dest, help=option.help, **option.kwargs)
        except (ValueError, argparse.ArgumentError):
            group.addoption(*flags[1:], dest=option.dest, help=option.help, **option.kwargs)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Run everything inside a control group where a device profile is to be enforced; else leave it to pytest."""
    if getattr(config.option, DEVICE_PROFILE.dest, None) is None:
        return None
    from pytest_slmsec.session.device_profile import launched

    return launched(config, _settings(config))


def pytest_configure(config: pytest.Config) -> None:
    """Read the settings: conftests are in by now, and pytest-benchmark, which asks for machine facts, comes later."""
    for line in MARKERS:
        config.addinivalue_line("markers", line)
    if not _is_used(config):
        return
    settings = _settings(config)
    if settings.models:
        from pytest_slmsec.session.plugin import SessionPlugin

        config.stash[SESSION] = session = SessionPlugin(config, settings)
        config.pluginmanager.register(session, "slmsec-session")


def _is_used(config: pytest.Config) -> bool:
    """Whether the command line or a configuration file may hold a setting of this plugin.

    Settings are only checked where there are any, since the modules that check them take time to import. An
    environment variable, such as SLMSEC_DATA, may be set for other sessions: it is checked when a test needs it.
    """
    values = [vars(config.option).get(option.dest) for option in PLUGIN_OPTIONS]
    if any(value is not None and value is not False for value in values):
        return True
    pyproject = config.rootpath / "pyproject.toml"
    return (config.rootpath / "slmsec.toml").is_file() or (pyproject.is_file() and b"slmsec" in pyproject.read_bytes())


def _settings(config: pytest.Config) -> Settings:
    """The settings of the run, read once.

    Raises:
        pytest.UsageError: one cannot be used; see `config.settings.read_settings`.
    """
    if SETTINGS not in config.stash:
        from pytest_slmsec.config.settings import settings_of
        from pytest_slmsec.config.usage_error import usage_error
        from pytest_slmsec.core.errors import UsageError

        try:
            config.stash[SETTINGS] = settings_of(config)
        except UsageError as error:
            raise usage_error(error) from None
    return config.stash[SETTINGS]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """``-n auto`` with a model: one worker a GPU. Asked before anything is configured."""
    if not getattr(config.option, MODEL.dest):
        return None
    from pytest_slmsec.config.settings import settings_of
    from pytest_slmsec.core.errors import UsageError
    from pytest_slmsec.distribute.hooks import auto_workers

    try:
        return auto_workers(settings_of(config))
    except UsageError:
        return None  # said when the plugin is configured


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise marked test functions over models and items."""
    config = metafunc.config
    session = config.stash.get(SESSION, None)
    takes_whole = None if session is None else session.takes_whole
    if metafunc.definition.get_closest_marker(MARKER) is not None:
        from pytest_slmsec.collection.parametrize import parametrize

        parametrize(metafunc, _settings(config), takes_whole)
    if "slm_pair" in metafunc.fixturenames:
        from pytest_slmsec.gating.pair_fixture import parametrize_pairs

        parametrize_pairs(metafunc, _settings(config), takes_whole)


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
    session = config.stash.get(SESSION, None)
    if session is not None:
        session.finish()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Benchmarks that were skipped for want of a model say so, also without ``-rs``."""
    skipped = [report for report in terminalreporter.stats.get("skipped", ()) if "no-model" in report.nodeid]
    if SESSION in config.stash or not skipped:
        return
    from pytest_slmsec.collection.parametrize import NO_MODEL

    if any(NO_MODEL in str(report.longrepr) for report in skipped):
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
    if SESSION in config.stash:
        from pytest_slmsec.meters.device import machine_facts
        from pytest_slmsec.reports.benchmark_json import machine_info as update

        update(machine_info, machine_facts())
