"""Settings for the project's own tests: pytest's test of plugins, and hypothesis without deadlines on busy machines."""

from __future__ import annotations

import os

from hypothesis import settings

pytest_plugins = ["pytester"]

settings.register_profile("default", deadline=None, max_examples=60)
settings.register_profile("ci", deadline=None, max_examples=60, derandomize=True)
settings.register_profile("mutation", deadline=None, max_examples=10, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")
