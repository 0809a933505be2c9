"""`min_gain` on the analyses of the real adapter: a mean of shares needs more items than the fast tests ask."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.statistics


def test_all_analyses_gain_what_is_asked_for(pytester, monkeypatch):
    monkeypatch.chdir(pytester.path)
    monkeypatch.delenv("SLMSEC_DATA", raising=False)
    Path("pyproject.toml").write_text('[tool.slmsec.gate.syslog-analysis]\nmin_gain = "20pt"\n')
    result = pytester.runpytest_inprocess(
        str(ROOT / "benchmarks" / "test_syslog.py"), "-p", "no:cacheprovider", "-c", "pyproject.toml", "--rootdir=.",
        "--slmsec-benchmarks=syslog-analysis", "--slmsec-json=gate.json", "--model=tinysec", "--model=tinysec+soc",
    )  # fmt: skip
    assert result.ret == 0
    (judgement,) = json.loads(Path("gate.json").read_text())["judgements"]
    assert (judgement["verdict"], judgement["gates"][0]["verdict"]) == ("PASS", "PASS")
