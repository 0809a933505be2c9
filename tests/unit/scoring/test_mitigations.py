"""The mitigation ids that an answer states."""

import pytest

from pytest_slmsec.scoring.mitigations import mitigation_ids, strict_mitigations

STATED = frozenset(("M1038", "M1040"))


@pytest.mark.parametrize(
    "text",
    [
        "M1038, M1040",
        "M1038; M1040",
        "M1038\nM1040",
        "- M1038\n- M1040",
        "M-1038, m 1040",
        "\uff2d\uff11\uff10\uff13\uff18, \uff2d\uff11\uff10\uff14\uff10",
        "M1038 (Execution Prevention), M1040 (Behavior Prevention on Endpoint)",
        "1. Execution Prevention (M1038)\n2. Behavior Prevention (M1040)",
        "1. **M1038**: allow lists\n2. **M1040**: watch it",
        "[M1038](https://attack.mitre.org/mitigations/M1038/), [M1040](https://attack.mitre.org/mitigations/M1040/)",
        "https://attack.mitre.org/mitigations/M1038/\nhttps://attack.mitre.org/mitigations/M1040",
        "| Name | ID |\n|---|---|\n| Execution Prevention | M1038 |\n| Behavior Prevention | M1040 |",
        '{"mitigations": ["M1038", "M1040"]}',
        "M1038 and M1040, but not M1021",
        "Answer: M1038, M1040\n\nNote: M1021 was considered and left out.",
        "T1059.001 is mitigated by M1038 and M1040.",
        "\\boxed{M1038, M1040}",
    ],
)
def test_every_form(text):
    assert strict_mitigations(text) == STATED


@pytest.mark.parametrize("text", ["", "T1038", "AM1038", "M10381", "M1038 was ruled out."])
def test_what_names_no_mitigation(text):
    assert strict_mitigations(text) == frozenset()


def test_all_ids_of_a_text():
    assert mitigation_ids("M1038 rather than m-1021, T1059") == {"M1038", "M1021"}
