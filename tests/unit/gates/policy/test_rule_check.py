"""A rule that does not fit its benchmark is refused by name, with the key that fits."""

import re

import pytest

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.policy.config import read_rule
from pytest_slmsec.gates.policy.rule_check import Scale, check_rule

ACCURACY = Scale("accuracy", True, True, 1.0, False)
CHOICE = Scale("accuracy", True, True, 1.0, True)
MAD = Scale("MAD", False, False, 10.0, False)
REFUSED = Scale("FRR", False, True, 1.0, False)
WHERE = "pyproject.toml [tool.slmsec.gate.mine]"


@pytest.mark.parametrize(
    ("table", "scale"),
    [
        ({"max_drop": "2pt"}, ACCURACY),
        ({"max_drop": "1%"}, ACCURACY),
        ({"max_drop": "2pt"}, REFUSED),
        ({"max_increase": 0.1}, MAD),
        ({"metric": "mad"}, MAD),
        ({"metric": ["p_correct", "accuracy"]}, CHOICE),
        ({"required": True}, MAD),
    ],
)
def test_rules_that_fit(table, scale):
    check_rule(read_rule(table, WHERE), "mine", scale)


@pytest.mark.parametrize(
    ("table", "scale", "message"),
    [
        ({"max_increase": 0.1}, ACCURACY, 'max_increase does not fit mine, whose accuracy .* write max_drop = "2pt"'),
        ({"max_drop": "2pt"}, MAD, "max_drop does not fit mine, whose MAD .* write max_increase in CVSS points"),
        ({"max_increase": 10.0}, MAD, "max_increase = 10: must be below 10, the whole range of mine in CVSS points"),
        ({"metric": "rouge"}, MAD, "mine has no metric 'rouge'; it has MAD."),
        ({"metric": ["p_correct"]}, ACCURACY, "mine has no metric 'p_correct'; it has accuracy. Probabilities exist"),
    ],
)
def test_rules_that_do_not(table, scale, message):
    with pytest.raises(UsageError, match=re.escape(WHERE) + ".*" + message):
        check_rule(read_rule(table, WHERE), "mine", scale)
