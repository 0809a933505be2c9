"""What all prompts of a benchmark begin with is computed once, and changes no answer."""

from dataclasses import replace

import pytest

from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.engines.prompting.sharing import FEWEST_TOKENS

RULES = "Read the log line. Say which technique it shows. Answer with one letter and nothing else.\n\nLine: "
SHARED = len(RULES)
LINES = ("a failed logon from 10.0.0.7", "a new service on the host", "Phishing mail with a macro document")


def asked(kind, raw=False, shared_chars=SHARED):
    messages = [(Message("user", RULES + line),) for line in LINES]
    if kind is Choose:
        return [
            Choose(f"c{n}", m, (" A", " B buffer"), raw=raw, shared_chars=shared_chars) for n, m in enumerate(messages)
        ]
    return [Generate(f"g{n}", m, 6, raw=raw, shared_chars=shared_chars) for n, m in enumerate(messages)]


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("kind", [Choose, Generate])
def test_the_shared_part_is_marked_and_no_answer_changes(tiny, load, kind, raw):
    engine, without = load(tiny), load(tiny)
    requests = asked(kind, raw=raw)
    marked = engine._encode(requests)
    assert {one.shared for one in marked} != {0}
    assert len({one.prompt[: one.shared] for one in marked}) == 1
    alone = without.run([replace(request, shared_chars=0) for request in requests])
    for one, other in zip(engine.run(requests).outputs, alone.outputs, strict=True):
        assert one.text == other.text
        assert one.choice_logprobs == pytest.approx(other.choice_logprobs, abs=1e-4)
        assert one.prompt_tokens == other.prompt_tokens
    assert engine.packed.model.counts.needed < without.packed.model.counts.needed


def test_it_is_the_same_whatever_is_selected(tiny, load):
    first, second = load(tiny), load(tiny)
    requests = asked(Choose)
    whole = first.run(requests).outputs
    assert second.run(requests[2:]).outputs == whole[2:]


def test_a_short_beginning_is_not_kept_apart(tiny, load):
    (encoded, *_) = load(tiny)._encode(asked(Generate, shared_chars=4, raw=True))
    assert encoded.shared == 0
    assert len(encoded.prompt) > FEWEST_TOKENS
