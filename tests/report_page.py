"""Measures the page of `slmsec report`: how large, how long it takes to make, to open and to filter, nodes and memory.

    python tests/report_page.py                       # random runs of several sizes
    python tests/report_page.py run.json --out DIR    # a stored run; keeps the pages in DIR

Needs Debian's Chromium (apt-get install chromium).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from benchmark_runs import content, plain
from chromium import ABSENT, PROGRAM, Chromium

from pytest_slmsec.cli.read_report import read_report
from pytest_slmsec.core.identity import sha256_text
from pytest_slmsec.reports.page.document import Wanted, page

SIZES = ((5, 1, 1_350), (2, 28, 20_000), (5, 28, 20_000))
"""Models, benchmarks and items in all."""
WORDS = ("attacker", "used", "a", "scheduled", "task", "to", "persist", "and", "beaconed", "over", "DNS", "tunnel",
         "phishing", "macro", "LSASS", "credential", "dump", "lateral", "movement", "SMB", "CVE", "T1059")  # fmt: skip
FILTER = """(() => { const start = performance.now(); const select = document.getElementById("k");
select.value = VALUE; select.dispatchEvent(new Event("change", {bubbles: true}));
return performance.now() - start; })()"""


def random_run(models, benchmarks, items, seed=0):
    """The content of a file with as many models, benchmarks and items in all; texts of 30 to 60 words."""
    draw, runs, times = random.Random(seed), [], {}
    for benchmark in range(benchmarks):
        n = items // benchmarks + (benchmark < items % benchmarks)
        categories = [draw.choice(("execution", "persistence", "discovery", "impact")) for _ in range(n)]
        right = [draw.random() < 0.7 for _ in range(n)]
        for number in range(models):
            bits = "".join("01"[ok != (number > 0 and draw.random() < 0.05)] for ok in right)
            quant = f"q{number}" if number else None
            facts, group = plain(bits, benchmark=f"bench-{benchmark:02d}", model=f"phi3-{quant}" if quant else "phi3",
                                 quant=quant, source="own items", scorer="x/strict/1", task="x")  # fmt: skip
            group["items"] |= {"text": [said(draw, 6, 12) for _ in range(n)], "category": categories}
            times[f"bench-{benchmark:02d}", group["model"]] = [draw.lognormvariate(-2, 0.5) for _ in range(n)]
            facts |= {"score_low": max(facts["score"] - 0.02, 0), "score_high": min(facts["score"] + 0.02, 1)}
            runs.append((facts, group))
    found = content(*runs)
    for entry in found["benchmarks"]:
        entry["stats"] = {"data": times[entry["params"]["benchmark"], entry["params"]["model"]]}
    return found


def random_prompts(items, seed=1):
    """A prompt of 30 to 60 words for each item of a random run, by its digest."""
    draw = random.Random(seed)
    return {sha256_text(f"question {row}")[:16]: said(draw, 30, 60) for row in range(items)}


def said(draw, least, most):
    """A text of random words."""
    return " ".join(draw.choice(WORDS) + (str(draw.randrange(1000)) if draw.random() < 0.2 else "")
                    for _ in range(draw.randrange(least, most)))  # fmt: skip


def least(browser, field, value):
    """Milliseconds of one choice in a field: the least of some, because other work on the machine only adds."""
    asked = FILTER.replace("VALUE", f'"{value}"').replace('"k"', f'"{field}"')
    return min(browser.run(asked) for _ in range(5))


def heap_mib(browser):
    """MiB of memory that the page's objects take, once what nobody needs is gone."""
    browser.send("HeapProfiler.collectGarbage")
    metrics = {one["name"]: one["value"] for one in browser.send("Performance.getMetrics")["metrics"]}
    return metrics["JSHeapUsedSize"] / 2**20


def measure(browser, name, file, folder, prompts):
    """Make, open and filter one page; returns a line of the table."""
    start = time.process_time()
    report = read_report([str(file)], Path.cwd(), None, None)
    made = page(report, Wanted(prompts=prompts))
    built = time.process_time() - start
    path = folder / f"{name}.html"
    path.write_text(made, "utf-8")
    ready = min(browser.open(path) for _ in range(3))
    nodes = browser.run("document.querySelectorAll('*').length")
    filtered = max(least(browser, "k", kind) for kind in ("c", "lost", "wrong", ""))
    sorting = least(browser, "s", "id")
    browser.run("document.querySelector('#list details').open = true; new Promise((done) => setTimeout(done, 300))")
    heap = heap_mib(browser)
    told = made.partition("Prompts and answers of ")[2].partition(" (texts")[0]
    assert not browser.problems, browser.problems
    return (f"| {name} | {len(made.encode()) / 1024:,.0f} KiB | {told} | {built:.1f} s | {ready:.2f} s | {nodes:,} | "
            f"{filtered:.0f} ms | {sorting:.0f} ms | {heap:.1f} MiB |")  # fmt: skip


def main():
    """Print a table of all pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="stored runs (default: random ones)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep the pages here")
    args = parser.parse_args()
    if PROGRAM is None:
        sys.exit(ABSENT)
    with tempfile.TemporaryDirectory() as temporary, Chromium() as browser:
        folder = args.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        browser.look(1400)
        print("| page | size | texts of | made in, CPU | ready in | nodes | filter | sort | heap |")
        print("|---|---|---|---|---|---|---|---|---|")
        for file in args.runs:
            print(measure(browser, file.stem, file, folder, {}), flush=True)
        for models, benchmarks, items in () if args.runs else SIZES:
            file = Path(temporary) / "run.json"
            made = random_run(models, benchmarks, items)
            file.write_text(json.dumps(made))
            print(measure(browser, f"{models}-models-{items}-items", file, folder, random_prompts(items)), flush=True)


if __name__ == "__main__":
    main()
