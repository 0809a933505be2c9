"""Encoder-only models. They answer multiple choice by scoring the text of each option, and generate no text.

`kinds` finds the kind of a checkpoint. `texts` tokenises questions and options. `masked`, `discriminator` and
`embeddings` each score options in one way. `engine` runs a scorer behind the engine protocol.
"""
