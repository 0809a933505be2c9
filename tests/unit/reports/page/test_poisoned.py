"""Runs whose every text is an attack: no element, attribute or hidden character of theirs gets into the page."""

from types import SimpleNamespace

import pytest
from benchmark_runs import content, plain
from reportpages import page_of, parsed, report_of, unpacked

from pytest_slmsec.reports.page import blocks, markup
from pytest_slmsec.reports.page.items import views

ATTACKS = (
    "<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "\"'><svg onload=alert(1)>",
    "</title></style><b>", "javascript:alert(1)", "<!--", "&lt;b&gt;", "\u202eevil\u200b\x00\x1b[31m\ud800",
)  # fmt: skip
ELEMENTS = """
html head meta title style body nav a header h1 h2 ul li ol span strong p main section details summary br figure div svg
desc path rect text circle g table caption thead tbody tr th td pre form label select option input button script
template
"""
ATTRIBUTES = """
lang charset http-equiv content name aria-label aria-labelledby aria-describedby aria-hidden href class id open tabindex
role xmlns viewbox width height font-family font-size font-weight fill fill-opacity d stroke stroke-width stroke-opacity
stroke-dasharray x y cx cy r text-anchor transform scope hidden value type autocomplete
"""


def poisoned(attack):
    """A file in which the attack stands wherever a text may stand."""
    runs = []
    for quant, right in ((None, "1110" * 6), (attack, "0110" * 6)):
        model = f"{attack}-q" if quant else attack
        facts, group = plain(right, benchmark=attack, model=model, base=attack, quant=quant, source="own items")
        items = group["items"]
        items["item"] = [f"{attack}{n}" for n in range(24)]
        for key in ("gold", "text", "category", "thought"):
            items[key] = [attack] * 24
        items["extracted"] = [attack] * 24
        facts |= {"constant": {"answer": attack, "value": 0.25}, "file": attack, "items_sha256": attack, "judge": None}
        facts["engine"] |= {"engine": attack, "weights_sha256": attack, "dtype": attack}
        runs.append((facts, group))
    made = content(*runs, machine={"cpu": attack, "gpu": attack, "cpus_usable": attack})
    made["commit_info"] = {"id": attack, "dirty": False}
    made["datetime"] = attack
    made["slmsec"]["version"] = attack
    made["slmsec"]["sentinels"] = [{"id": attack, "benchmark": attack, "model": attack, "fact": attack}]
    return made


def check(attack):
    """Whether the page of a poisoned file holds only what the page itself is made of."""

    content_ = poisoned(attack)
    prompts = {view.digest: attack for view in views(report_of(content_))}
    root = parsed(page_of(content_, prompts=prompts))
    _check_elements(root)
    assert len([one for one in root.all("script") if "type" not in one.attributes]) == 1
    assert not markup.INVISIBLE.search(root.text)
    index, rows = unpacked(root, "index"), unpacked(root, "block-0")
    assert not any(markup.INVISIBLE.search(text) for text in [*index["item"], *rows[0][2][0][:3], rows[0][0]])


def _check_elements(element):
    for child in element.children:
        if not isinstance(child, str):
            assert child.name in ELEMENTS.split(), child.name
            assert set(child.attributes) <= set(ATTRIBUTES.split()), child.attributes
            assert child.attributes.get("href", "#").startswith("#")
            _check_elements(child)


@pytest.mark.parametrize("attack", ATTACKS, ids=range(len(ATTACKS)))
def test_an_attack_stays_text(attack):
    check(attack)


@pytest.mark.parametrize(
    ("module", "name", "mutant"),
    [
        (markup, "html", SimpleNamespace(escape=lambda text: markup.Markup(text))),
        (markup, "visible", str),
        (markup, "_attribute", lambda key, value: f' {key}="{value}"'),
        (blocks, "visible", str),
    ],
    ids=["nothing escaped", "hidden characters", "attributes not escaped", "hidden characters in data"],
)
def test_the_checks_find_a_page_that_does_not_escape(monkeypatch, module, name, mutant):
    monkeypatch.setattr(module, name, mutant)
    found = 0
    for attack in ATTACKS:
        try:
            check(attack)
        except (AssertionError, UnicodeEncodeError):
            found += 1
    assert found
