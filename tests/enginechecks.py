"""What tests of several engines ask and expect alike."""

import pytest

from pytest_slmsec.core.errors import ModelError


def run_all(engine, requests):
    """The outputs of all requests, in their order, whatever the engine makes of batches."""
    outputs = {}
    for batch in engine.plan(requests):
        outputs.update(zip(batch, engine.run([requests[i] for i in batch]).outputs, strict=True))
    return [outputs[i] for i in range(len(requests))]


def refused(load, path, *parts):
    """Loading `path` ends in one sentence that names it and holds `parts`."""
    with pytest.raises(ModelError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in (str(path), *parts):
        assert part in message
