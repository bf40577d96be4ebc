"""Keras's own settings never choose a backend that this project lacks, and no command prints what nobody asked for."""

import json
import os
import subprocess
import sys

import pytest

CODE = "import bertglue, os; print(os.environ.get('KERAS_BACKEND'))"


def call(*command, **environment):
    kept = {name: value for name, value in os.environ.items() if name not in ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL")}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, env={**kept, **environment})


@pytest.mark.parametrize(
    ("content", "chosen", "said"),
    [
        ({"backend": "torch"}, "tensorflow", True), ({"backend": "jax"}, "None", False),
        ({"backend": "tensorflow"}, "None", False), ({"floatx": "float32"}, "None", False), ([], "None", False),
    ],
)  # fmt: skip
def test_a_keras_json_with_another_backend_is_ignored_in_a_line(tmp_path, content, chosen, said):
    (tmp_path / "keras.json").write_text(json.dumps(content))
    done = call("-c", CODE, KERAS_HOME=str(tmp_path))
    assert done.stdout.strip() == chosen
    assert done.stderr.splitlines() == (
        [f"{tmp_path}/keras.json names the backend torch; this project has tensorflow and jax: tensorflow"]
        if said
        else []
    )


def test_a_variable_that_names_another_backend_is_ignored_in_a_line(tmp_path):
    done = call("-c", CODE, KERAS_BACKEND="torch", KERAS_HOME=str(tmp_path))
    assert done.stdout.strip() == "tensorflow"
    assert done.stderr.splitlines() == [
        "KERAS_BACKEND names the backend torch; this project has tensorflow and jax: tensorflow"
    ]


def test_an_error_while_tensorflow_loads_is_seen(tmp_path):
    (tmp_path / "tensorflow.py").write_text("import os\nos.write(2, b'greeting')\nraise ImportError('broken')\n")
    done = call("-c", "import bertglue, tensorflow", PYTHONPATH=str(tmp_path))
    assert done.stderr.splitlines()[-1] == "ImportError: broken"
    assert "greeting" not in done.stderr


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize("command", [["doctor"], ["results", "nowhere"]])
def test_standard_error_has_nothing_that_was_not_asked_for(command, backend, tmp_path):
    done = call("-m", "bertglue.cli", *command, KERAS_BACKEND=backend, KERAS_HOME=str(tmp_path))
    assert len(done.stderr.splitlines()) == (0 if command == ["doctor"] else 1), done.stderr
