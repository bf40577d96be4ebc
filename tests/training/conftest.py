"""Training is tested on one layer: a second is compiled again for every run, and tells nothing more."""

from dataclasses import replace

import pytest


@pytest.fixture
def tiny_config(tiny_config):
    return replace(tiny_config, heads=(2,))
