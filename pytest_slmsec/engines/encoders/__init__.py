"""Encoder-only models, which answer multiple choice by comparing texts and generate none.

`kinds` tells which sort a checkpoint is, and `texts` cuts question and option into tokens; `masked`, `discriminator`
and `embeddings` each hold one way to score an option, and `engine` runs them behind the protocol of all engines.
"""
