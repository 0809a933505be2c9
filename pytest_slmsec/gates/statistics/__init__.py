"""Statistical tests of the gate, pure functions of scores."""
