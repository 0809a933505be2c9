"""The output head in blocks of a fixed number of rows, or of as many as there are."""

import torch
from architectures import PACKABLE, made

from pytest_slmsec.engines.packed.head import ROWS, Head


@torch.inference_mode()
def test_a_block_is_filled_unless_bits_may_depend_on_the_number_of_rows():
    model = made(PACKABLE["Llama"])
    head, hidden = Head(model), torch.randn(ROWS["cpu"] + 3, model.config.hidden_size)
    full, short = list(head.logits(hidden)), list(head.logits(hidden, padded=False))
    assert [len(block) for block in full] == [ROWS["cpu"]] * 2
    assert [len(block) for block in short] == [ROWS["cpu"], 3]
    assert torch.allclose(torch.cat(short), torch.cat(full)[: len(hidden)], atol=1e-5)
    assert torch.equal(next(iter(head.logits(hidden[:2])))[:2], full[0][:2])
