"""Tests beside PyTorch and transformers, which `make test-peers` installs in an environment of their own."""

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("transformers") else ["test_*.py"]
