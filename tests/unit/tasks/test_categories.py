"""Items carry the category that their benchmark publishes, so that losses can be shown by it."""

import pytest

from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.tasks.ctibench import knowledge_base, severity
from pytest_slmsec.tasks.registry import find_task

EXPECTED = {
    "cti-mcq": {"ATT&CK techniques", "ATT&CK groups", "CWE"},
    "cti-mcq-cloze": {"ATT&CK techniques", "ATT&CK groups", "CWE"},
    "cti-rcm": {"CWE-79", "CWE-89"},
    "cti-rcm-2021": {"CWE-79", "CWE-89"},
    "cti-vsp": {"medium", "high", "critical"},
    "cti-ate": {"Enterprise", "Linux", "Windows"},
    "mitre": {"C2", "Collection"},
    "mitre-frr-multilingual": {"Portuguese", "Spanish"},
    "secbench-mcq": {"Data Security", "Cloud Security"},
    "sevenllm-extract-zh": {"Malware Feature Extraction", "Attack Tactics Extraction"},
    "opseval-oracle": {"English", "Chinese"},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_items_of_ours_carry_their_category(name):
    task = find_task(name)
    found = {item.meta.get("category") for item in task.load(fixtures_dir() / "data")}
    assert EXPECTED[name] <= found
    assert None not in found


def test_a_benchmark_without_categories_has_none():
    items = find_task("cti-taa").load(fixtures_dir() / "data")
    assert {item.meta.get("category") for item in items} == {None}


def test_of_several_topics_none_is_the_category():
    items = find_task("seceval").load(fixtures_dir() / "data")
    topics = [item.meta["shares"][:-1] for item in items]
    expected = [some[0] if len(some) == 1 else None for some in topics]
    assert [item.meta.get("category") for item in items] == expected


@pytest.mark.parametrize(
    ("vector", "expected"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "critical"),  # 9.8
        ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", "high"),  # 7.8
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", "medium"),  # 6.1
        ("CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", "low"),  # 1.6
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", "none"),
    ],
)
def test_severity_is_that_of_the_specification(vector, expected):
    assert severity({}, vector) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://attack.mitre.org/techniques/T1548/", "ATT&CK techniques"),
        ("https://cwe.mitre.org/data/definitions/79.html", "CWE"),
        ("https://capec.mitre.org/data/definitions/1.html", "CAPEC"),
        ("https://example.org/", None),
        ("", None),
        (None, None),
    ],
)
def test_the_knowledge_base_is_read_from_the_address(url, expected):
    assert knowledge_base({"URL": url}, "A") == expected
