"""The page in Debian's Chromium: nothing leaves it, nothing of a run gets to run, and it works by keyboard alone."""

import html
import http.server
import json
import re
import threading
from importlib import resources
from importlib.util import find_spec

import pytest
from benchmark_runs import content, plain
from chromium import ABSENT, PROGRAM, Chromium
from report_page import heap_mib, random_prompts, random_run
from reportpages import page_of, parsed, two_models

from pytest_slmsec.cli.read_report import read_report
from pytest_slmsec.reports.page.document import Wanted, page

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=ABSENT)
AXE = "axe_core_python"
ATTACKS = ("<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "\u202eevil\u200b\x00")
WCAG = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'], resultTypes: ['violations']}"
SAFE = "made.append(...children.filter(Boolean));"
UNSAFE = "for (const child of children) child?.nodeType ? made.append(child) : (made.innerHTML += child ?? '');"
OPEN_ALL = """(async () => { for (const folded of document.querySelectorAll("details")) folded.open = true;
const items = [...document.querySelectorAll("#list > li > details")];
while (items.some((one) => one.children.length < 2)) await new Promise((done) => setTimeout(done, 20));
return document.querySelectorAll("#list table").length; })()"""


@pytest.fixture(scope="module")
def browser():
    with Chromium() as opened:
        opened.look(1000)
        yield opened


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Files: a usual page, and one whose every text is an attack."""
    folder = tmp_path_factory.mktemp("pages")
    choices = two_models(source="own items", after="0110" * 15 + "1110" * 14 + "1111")
    for group, facts in zip(choices["slmsec"]["groups"], choices["benchmarks"], strict=True):
        group["items"]["category"] = ["DNS"] * 100 + ["HTTP"] * 20
        group["items"]["text"] = [f"The answer is {text}" for text in group["items"]["text"]]
        facts["stats"] = {"data": [0.1, 0.2, 0.4] * 40}
    (folder / "usual.html").write_text(page_of(choices, prompts={}), "utf-8")
    (folder / "poisoned.html").write_text(page_of(poisoned()), "utf-8")
    return folder


def poisoned():
    runs = []
    for quant, right in ((None, "111"), (ATTACKS[0], "000")):
        facts, group = plain(right, benchmark=ATTACKS[1], model=f"m{quant or ''}", quant=quant, source="own items")
        group["items"] |= {
            "item": list(ATTACKS),
            **{key: list(ATTACKS) for key in ("gold", "text", "extracted", "category")},
        }
        runs.append(({**facts, "file": ATTACKS[0]}, group))
    return content(*runs)


def listed(browser):
    return browser.run("[...document.querySelectorAll('#list strong')].map((one) => one.textContent)")


def test_the_page_asks_for_nothing_and_the_console_stays_empty(browser, pages):
    browser.open(pages / "usual.html")
    assert browser.run(OPEN_ALL) == 50
    assert browser.requests == [f"file://{pages / 'usual.html'}"]
    assert browser.problems == []


def test_nothing_of_a_poisoned_run_becomes_markup(browser, pages):
    browser.open(pages / "poisoned.html")
    assert browser.run(OPEN_ALL) == 3
    assert browser.run("document.querySelectorAll('img, iframe, object, embed, base, link, [style]').length") == 0
    handlers = (
        "[...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames()).filter((n) => /^on/.test(n))"
    )
    assert browser.run(handlers) == []
    assert browser.run("document.scripts.length") == 3  # index, block, script
    assert not set(browser.run("document.body.textContent")) & {"\u202e", "\u200b", "\x00"}
    assert sorted(listed(browser)) == sorted([ATTACKS[0], ATTACKS[1], "[U+202E]evil[U+200B][U+0000]"])
    assert len(browser.requests) == 1
    assert browser.problems == []


def test_the_check_finds_a_script_that_makes_markup_of_text(browser, pages, tmp_path):
    text = (pages / "poisoned.html").read_text("utf-8")
    mutant = text.replace(SAFE, UNSAFE)
    assert mutant != text
    policy = next(one for one in parsed(mutant).all("meta") if "http-equiv" in one.attributes).attributes["content"]
    (tmp_path / "mutant.html").write_text(mutant.replace(html.escape(policy), "default-src * 'unsafe-inline'"), "utf-8")
    browser.open(tmp_path / "mutant.html")
    assert browser.run("document.querySelectorAll('img').length")
    browser.wait("true")
    assert "dialog: 1" in browser.problems


def test_filters_state_and_a_bar_that_filters(browser, pages):
    browser.open(pages / "usual.html")
    browser.run("document.querySelector('#flips svg a').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    browser.wait("document.getElementById('k').value === 'lost'")
    assert browser.run("document.getElementById('count').textContent") == "15 of 120 items; page 1 of 1"
    assert browser.run("location.hash").endswith("b=cti-mcq")
    address = f"file://{pages / 'usual.html'}#k=gained&s=id&i=cti-mcq%2Fcti-mcq-00120"
    browser.open("about:blank", "true")
    browser.open(address)
    assert listed(browser) == ["cti-mcq-00120"]
    browser.wait("document.querySelector('#list ins') !== null")
    assert browser.run("document.querySelector('#list del').textContent") == "B"
    assert browser.run("document.querySelector('#list ins').textContent") == "A"
    browser.run("document.getElementById('clear').click()")
    assert len(listed(browser)) == 50


def test_the_search_finds_names_and_texts(browser, pages):
    browser.open(pages / "usual.html")
    typed = "const q = document.getElementById('q'); q.value = 'TEXT'; q.dispatchEvent(new Event('input'))"
    browser.run(f"{{{typed.replace('TEXT', 'cti-mcq-0001')}}}")
    assert sorted(listed(browser)) == [f"cti-mcq-{n:05d}" for n in range(10, 20)]
    browser.run(f"{{{typed.replace('TEXT', 'answer is b')}}}")
    browser.wait("document.getElementById('count').textContent.startsWith('45 of')")


def test_one_model_has_no_filter_of_what_was_lost(browser, pages):
    (pages / "one.html").write_text(page_of(content(plain("1101", source="own items")), prompts={}), "utf-8")
    browser.open(pages / "one.html")
    assert browser.run("[...document.forms[0].elements].map((one) => one.id)") == ["k", "b", "c", "s", "q", "clear"]
    assert listed(browser) == [f"cti-mcq-{n:05d}" for n in (1, 2, 3, 4)]
    assert browser.run("document.querySelector('#list details span:last-child').textContent") == "phi3: right"
    browser.run("{const k = document.getElementById('k'); k.value = 'wrong'; "
                "k.dispatchEvent(new Event('change', {bubbles: true}));}")  # fmt: skip
    assert listed(browser) == ["cti-mcq-00003"]
    assert browser.problems == []


@pytest.mark.parametrize(("models", "benchmarks", "items", "most_kib"), [(5, 1, 1_350, 400), (2, 28, 20_000, 2_048)])
def test_size_nodes_and_memory_have_limits(browser, tmp_path, models, benchmarks, items, most_kib):
    run = tmp_path / "run.json"
    run.write_text(json.dumps(random_run(models, benchmarks, items)))
    made = page(read_report([str(run)], tmp_path, None, None), Wanted(prompts=random_prompts(items)))
    (tmp_path / "page.html").write_text(made, "utf-8")
    assert len(made.encode()) <= most_kib * 1024
    (texts,) = re.findall(rf"Prompts and answers of ([\d,]+) of {items:,} items", made)
    assert (texts == f"{items:,}") == (most_kib == 400)  # the larger one has no room for all
    browser.open(tmp_path / "page.html")
    assert browser.run("document.getElementById('count').textContent").startswith(f"{items:,} of {items:,} items")
    assert browser.run("document.querySelectorAll('*').length") <= 10_000
    assert heap_mib(browser) <= 50
    assert browser.problems == []


def test_the_keyboard_alone(browser, pages):
    browser.open(pages / "usual.html")
    focused = "document.activeElement.closest('details')?.dataset.item ?? document.activeElement.id"
    browser.press("/")
    assert browser.run(focused) == "q"
    assert browser.run("document.getElementById('q').value") == ""
    browser.press("Tab")
    assert browser.run(focused) == "clear"
    browser.press("/")
    browser.press("Escape")
    browser.press("j")
    assert browser.run(focused) == "0"
    browser.press("j")
    browser.press("k")
    assert browser.run(focused) == "0"
    browser.press("Enter")
    browser.wait("document.querySelector('#list details[open] table') !== null")
    browser.press("Escape")
    assert browser.run("document.querySelectorAll('#list details[open]').length") == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.skipif(find_spec(AXE) is None, reason="axe-core-python is not installed")
def test_axe_finds_no_violation_of_wcag_21_aa(browser, pages, dark):
    browser.look(1000, dark)
    browser.open(pages / "usual.html")
    browser.run(OPEN_ALL)
    browser.run(resources.files(AXE).joinpath("axe.min.js").read_text("utf-8") + "; true")
    found = browser.run(f"axe.run(document, {WCAG}).then((all) => all.violations.map((one) => "
                        "[one.id, one.nodes.slice(0, 3).map((node) => node.html + node.failureSummary)]))")  # fmt: skip
    browser.look(1000)
    assert found == []


class _Strict(http.server.SimpleHTTPRequestHandler):
    """Serves files as Jenkins does: no script, no inline style."""

    def end_headers(self):
        self.send_header("Content-Security-Policy", "sandbox; default-src 'none'; img-src 'self'; style-src 'self'")
        super().end_headers()

    def log_message(self, *_):
        pass


def test_a_server_that_forbids_scripts_shows_verdicts_numbers_pictures_and_lost_items(browser, pages):
    def handler(*given):
        return _Strict(*given, directory=str(pages))

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.open(f"http://127.0.0.1:{server.server_port}/usual.html", "true")
        assert browser.run("document.documentElement.dataset.ready") is None
        seen = browser.run("document.body.innerText")
        for text in ("FAIL phi3-gptq4", "lost 15 items; the first of them:", "cti-mcq-00001"):
            assert text in seen
        assert browser.run(
            "[...document.querySelectorAll('svg')].every((one) => one.getBoundingClientRect().height > 20)"
        )
        assert browser.run("getComputedStyle(document.getElementById('live')).display") == "none"
        server.shutdown()


def test_a_narrow_screen_does_not_scroll_sideways(browser, pages):
    browser.look(400)
    browser.open(pages / "usual.html")
    browser.run(OPEN_ALL)
    width = browser.run("document.documentElement.scrollWidth")
    browser.look(1000)
    assert width <= 400


def test_a_printed_page_cuts_no_picture_and_no_table(browser, pages, tmp_path):
    browser.open(pages / "usual.html")
    browser.send("Emulation.setEmulatedMedia", media="print")
    browser.send("Emulation.setDeviceMetricsOverride", width=680, height=1000, deviceScaleFactor=1, mobile=False)
    too_wide = (
        "[...document.querySelectorAll('svg, table, pre')].filter((one) => one.getBoundingClientRect().right > 681)"
    )
    too_high = "[...document.querySelectorAll('svg')].filter((one) => one.getBoundingClientRect().height > 1000)"
    assert browser.run(f"{too_wide}.map((one) => one.outerHTML.slice(0, 80))") == []
    assert browser.run(f"{too_high}.length") == 0
    kept = "[...document.querySelectorAll('[class^=heat]')].map((one) => getComputedStyle(one).printColorAdjust)"
    assert set(browser.run(kept)) == {"exact"}  # the strength of the green is a number, and is printed
    browser.send("Emulation.setEmulatedMedia", media="")
    browser.look(1000)
    browser.print(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
