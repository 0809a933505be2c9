"""One tiny encoder of each architecture; made once."""

import shutil

import pytest
import tinyencoders


@pytest.fixture(scope="session")
def encoders(tmp_path_factory):
    """The directory of a tiny encoder by kind; tests copy it before they change anything."""
    home, made = tmp_path_factory.mktemp("encoders"), {}

    def directory(kind):
        if kind not in made:
            made[kind] = tinyencoders.build_tiny_encoder(home / kind, kind)
        return made[kind]

    return directory


@pytest.fixture
def copied(encoders, tmp_path):
    """A copy of a tiny encoder by kind, to be changed."""
    return lambda kind: shutil.copytree(encoders(kind), tmp_path / kind)
