"""The page: its numbers are those of the record and of the comparison, and it asks for nothing else."""

import base64
import hashlib
import re

import pytest
from benchmark_runs import content, plain
from reportpages import page_of, parsed, report_of, tables, two_models, unpacked

from pytest_slmsec.core.identity import sha256_text


def test_the_same_input_gives_the_same_bytes():
    assert page_of(two_models()) == page_of(two_models())


def test_the_policy_allows_the_one_script_and_the_one_style():
    root = parsed(page_of(two_models()))
    (policy,) = (one.attributes["content"] for one in root.all("meta") if "http-equiv" in one.attributes)
    running = [one for one in root.all("script") if "type" not in one.attributes]
    hashes = [base64.b64encode(hashlib.sha256(one.text.encode()).digest()).decode()
              for one in [*running, *root.all("style")]]  # fmt: skip
    script, style = (f"'sha256-{digest}'" for digest in hashes)
    assert policy == (f"default-src 'none'; script-src {script}; style-src {style}; base-uri 'none'; "
                      "form-action 'none'")  # fmt: skip


def test_no_attribute_runs_or_loads_anything():
    def walk(element):
        for name, value in element.attributes.items():
            assert not name.startswith("on")
            assert name not in ("style", "src", "srcset", "action", "xlink:href")
            assert name != "href" or value.startswith("#")
        for child in element.children:
            if not isinstance(child, str):
                walk(child)

    html = page_of(two_models())
    walk(parsed(html))
    script = html.rpartition("<script>")[2]
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|\beval\b|Function\(|document\.write|fetch\(", script)


def test_each_picture_has_a_title_and_a_description_with_its_numbers():
    root = parsed(page_of(two_models()))
    pictures = list(root.all("svg"))
    assert len(pictures) == 4  # no times, choices or second run are recorded
    for picture in pictures:
        title, description = picture.children[:2]
        assert (title.name, description.name) == ("title", "desc")
        assert picture.attributes["aria-labelledby"] == title.attributes["id"]
        assert picture.attributes["aria-describedby"] == description.attributes["id"]
        assert re.search(r"\d", description.text)
    ids = re.findall(r' id="([^"]+)"', page_of(two_models()))
    assert len(ids) == len(set(ids))


def test_one_model_has_scores_and_no_verdict():
    root = parsed(page_of(content(plain("1110" * 10))))
    assert "No verdict" in root.text
    assert tables(root)["Scores of all models"][1][:4] == ["cti-mcq", "phi3", "accuracy", "75.0 %"]
    assert unpacked(root, "index")["candidates"] == []


def test_models_that_are_not_made_from_each_other_are_judged_against_the_first():
    found = report_of(content(plain("1110" * 10, model="a", base="a"), plain("1110" * 10, model="b", base="b")))
    assert [(judgement.base, judgement.candidate) for judgement in found.judgements] == [("a", "b")]


class TestTexts:
    """What the page holds of prompts and answers."""

    def held(self, *, source="fixture", **wanted):
        root = parsed(page_of(two_models(source=source), **wanted))
        index = unpacked(root, "index")
        blocks = [
            one.attributes["id"] for one in root.all("script") if one.attributes.get("id", "").startswith("block")
        ]
        rows = [row for key in blocks for row in unpacked(root, key)]
        return root, index, rows

    def test_lost_items_come_first(self):
        _, index, rows = self.held()
        assert len(rows) == 120
        letters = [index["changes"][0][item] for item in index["order"]]
        assert letters == sorted(letters, key="lwgbxr".index)

    def test_answers_are_those_of_the_record(self):
        _, index, rows = self.held(prompts={})
        first = index["order"][0]
        assert index["item"][first] == "cti-mcq-00001"
        assert rows[0] == [None, "A", [["A", "A", None, "right", "1", "-"], ["B", "B", None, "wrong", "0", "-"]]]

    @pytest.mark.parametrize(
        ("texts", "source", "count"),
        [("auto", "fixture", 120), ("auto", "own items", 120), ("auto", "files", 0), ("auto", "hub x@1", 0),
         ("none", "fixture", 0), ("all", "files", 120), ("changed", "files", 15), ("wrong", "files", 45)],
    )  # fmt: skip
    def test_which_texts(self, texts, source, count):
        root, _, rows = self.held(texts=texts, source=source)
        assert f"Prompts and answers of {count} of 120 items (texts: {texts})." in root.text
        assert sum(gold is not None for _, gold, _ in rows) == count

    def test_scores_are_there_without_texts(self):
        _, _, rows = self.held(texts="none")
        assert rows[0] == [None, None, [[None, None, None, "right", "1", "-"], [None, None, None, "wrong", "0", "-"]]]

    def test_above_the_budget_some_items_have_no_texts(self):
        digests = two_models()["slmsec"]["groups"][0]["items"]["sha256"]
        prompts = {digest: sha256_text(digest) * 2 for digest in digests}
        bare = len(page_of(two_models(source="fixture"), size=0).encode())
        root, index, rows = self.held(size=bare + 4_000, prompts=prompts)
        assert 0 < len(rows) < 120
        assert f"Prompts and answers of {len(rows)} of 120 items" in root.text
        assert index["changes"][0][index["order"][0]] == "l"
