"""What JSON can say, for tests that hold for all of it."""

from hypothesis import strategies as st

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
structures = values.filter(lambda value: isinstance(value, (dict, list)))
