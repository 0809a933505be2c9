"""The score card of a model: what it is worth and what it costs, beside its base."""
