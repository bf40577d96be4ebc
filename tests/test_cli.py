"""The command: each of its parts on small finished runs, its help, and one line for what is wrong."""

import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from paths import ROOT
from typer.testing import CliRunner

from bertglue import cli
from bertglue.atomic_files import write_json
from bertglue.errors import InputError
from bertglue.models import heads
from bertglue.models.bert import build_encoder, compute_dtype
from bertglue.models.classifier import build_classifier
from bertglue.models.logits import predict_texts
from bertglue.models.preprocessor import Preprocessor
from bertglue.models.saved_classifier import save_classifier
from bertglue.parameters import Parameters
from bertglue.places import find_notebook, parameter_files
from bertglue.runs.evaluate_file import read_label
from bertglue.runs.predict import FIRST_CHUNK_ROWS, Predictor
from bertglue.tasks import TASKS

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(45))]
RECORD = {
    "task": "rte",
    "source": "toy",
    "encoder": "[bold]\x1b[31mred",
    "learning_rate": 1e-3,
    "seed": 0,
    "metrics": {"validation": {"accuracy": 0.75}},
    "interval": {"validation": {"accuracy": [0.7, 0.8]}},
    "baseline": {"validation": {"accuracy": 0.5}},
}


def write_run(folder, config, task):
    classifier = build_classifier(build_encoder(config, seed=3), TASKS[task].outputs)
    save_classifier(classifier, Preprocessor(VOCABULARY, 16), folder)
    write_json(folder / "record.json", {**RECORD, "task": task})
    return folder


def invoke(*arguments, text=None):
    return CliRunner().invoke(cli.app, list(map(str, arguments)), input=text)


@pytest.mark.parametrize(
    "command", ["run", "reproduce", "predict", "evaluate", "export", "results", "compare", "submit", "doctor"]
)
def test_every_command_has_help(command):
    assert command in invoke("--help").output
    shown = invoke(command, "--help")
    assert shown.exit_code == 0
    assert "--help" in shown.output


def test_export_says_what_it_wrote_and_writes_nothing_over(tiny_config, tmp_path):
    folder = write_run(tmp_path / "rte", tiny_config, "rte")
    shown = invoke("export", folder, tmp_path / "phone", "--kind", "int8 dynamic")
    assert shown.exit_code == 0, shown.output
    assert "phone: int8 dynamic, 0." in shown.output.replace("\n", "")
    assert (tmp_path / "phone" / "model.tflite").exists()
    again = invoke("export", folder, tmp_path / "phone")
    assert isinstance(again.exception, InputError)


def test_an_export_in_fewer_bits_is_read_like_a_run(tiny_config, tmp_path):
    run, stored = write_run(tmp_path / "run", tiny_config, "mrpc"), tmp_path / "stored"
    shown = invoke("export", run, stored, "--kind", "keras-float16")
    assert "stored: keras-float16, 0." in shown.output.replace("\n", "")
    first, second = (invoke("predict", folder, text="w1 w2\tw3\n").output.splitlines()[1] for folder in (run, stored))
    assert first.split("\t")[0] == second.split("\t")[0]
    assert float(first.split("\t")[1]) == pytest.approx(float(second.split("\t")[1]), abs=1e-3)


def test_a_precision_is_that_of_weights_and_arithmetic(tiny_config, tmp_path, monkeypatch):
    run, stored = write_run(tmp_path / "run", tiny_config, "mrpc"), tmp_path / "stored"
    rows = "w1 w2\tw3\nw4\tw5 w6 w7\n"
    whole = invoke("predict", run, text=rows).output
    assert invoke("predict", run, "--precision", "float32", text=rows).output == whole
    for precision, closeness in (("bfloat16", 0.02), ("float16", 2e-3)):
        said = invoke("predict", run, "--precision", precision, text=rows).output
        found = [[float(p) for line in text.splitlines()[1:] for p in line.split("\t")[1:]] for text in (said, whole)]
        np.testing.assert_allclose(*found, atol=closeness)
        words = Predictor(run, precision).classifier.get_layer("encoder").get_layer("word_embeddings")
        assert (words.compute_dtype, words.embeddings.dtype) == (precision, precision)
    monkeypatch.setattr(heads, "auto_precision", lambda: "mixed_bfloat16")
    assert compute_dtype(Predictor(run, "auto").classifier) == "bfloat16"
    assert "'float8'" in invoke("predict", run, "--precision", "float8").stderr
    invoke("export", run, stored, "--kind", "keras-int8")
    shown = [invoke("predict", stored, *given, text=rows).output for given in ([], ["--precision", "auto"])]
    assert shown[0] == shown[1]
    assert isinstance(invoke("predict", stored, "--precision", "bfloat16", text=rows).exception, InputError)


@pytest.mark.parametrize("task", ["rte", "stsb"])
def test_predict_streams_what_the_classifier_says(tiny_config, tmp_path, task):
    folder = write_run(tmp_path / task, tiny_config, task)
    rows = [(f"w{i % 7} w3", f"w{i % 5} , w{i % 11}") for i in range(300)]
    shown = invoke("predict", folder, text="\n".join("\t".join(row) for row in rows) + "\n")
    assert shown.exit_code == 0, shown.output
    header, *lines = shown.output.splitlines()
    predictor = Predictor(folder)
    logits = predict_texts(predictor.classifier, predictor.preprocessor, rows)
    if task == "stsb":
        assert header == "prediction"
        np.testing.assert_allclose([float(line) for line in lines], logits[:, 0], atol=6e-4)
    else:
        assert header == "prediction\tp(entailment)\tp(not_entailment)"
        assert [line.split("\t")[0] for line in lines] == [TASKS[task].labels[i] for i in logits.argmax(1)]
        np.testing.assert_allclose([sum(map(float, line.split("\t")[1:])) for line in lines], 1, atol=2e-4)


@pytest.mark.parametrize("task", ["rte", "stsb"])
def test_evaluate_scores_a_labelled_file(tiny_config, tmp_path, task):
    folder = write_run(tmp_path / task, tiny_config, task)
    write_json(
        folder / "record.json", {**RECORD, "task": task, "labels": {"train": {"entailment": 3, "not_entailment": 1}}}
    )
    rows = [(f"w{i % 7} w3", f"w{i % 5} , w{i % 11}") for i in range(200)]
    predicted = np.concatenate(list(Predictor(folder).logits(rows)))
    regression = task == "stsb"
    labels = [str(i % 6) for i in range(200)] if regression else [("entailment", "1")[i % 2] for i in range(200)]
    file = tmp_path / "rows.tsv"
    file.write_text("".join("\t".join((*row, label)) + "\n" for row, label in zip(rows, labels, strict=True)))
    shown = invoke("evaluate", folder, file)
    assert shown.exit_code == 0, shown.output
    assert "200 rows" in shown.output
    if regression:
        given = np.array(labels, "float32")
        assert f"{np.corrcoef(given, predicted[:, 0])[0, 1]:.3f}" in shown.output
        lines = [line.split() for line in shown.output.splitlines() if "correlation" in line]
        assert [line[-1] for line in lines] == ["0.000", "0.000"]  # of the mean, as `results` says
        assert "prediction" not in shown.output
    else:
        right = predicted.argmax(1) == np.arange(200) % 2
        accuracy = next(line.split() for line in shown.output.splitlines() if "Accuracy" in line)
        assert (accuracy[1], accuracy[-1]) == (f"{right.mean():.3f}", "0.500")  # the commonest label has half
        counts = [
            line.split()[1:]
            for line in shown.output.splitlines()
            if line.split()[:1] in (["entailment"], ["not_entailment"])
        ]
        assert sum(int(count) for row in counts for count in row) == 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("w1\tw2\n", r"row 1: 2 fields, and RTE takes 3 \(sentence1, sentence2, label\), with tabs between them"),
        ("w1\tw2\t0\nw1\tw2\tyes\n", r"row 2: unknown label 'yes'; RTE has entailment, not_entailment"),
        ("w1\tw2\t2\n", r"row 1: unknown label '2'"),
        ("", r"holds no rows; give at least one"),
    ],
)
def test_a_defect_of_a_labelled_file_is_one_line(tiny_config, tmp_path, text, message):
    folder = write_run(tmp_path / "rte", tiny_config, "rte")
    found = invoke("evaluate", folder, text=text)
    assert isinstance(found.exception, InputError)
    assert re.search(message, str(found.exception))


def test_a_number_is_a_place_only_where_no_class_is_a_number():
    assert read_label(TASKS["rte"], "1", "rows, row 1") == 1
    stars = replace(TASKS["rte"], labels=("1", "2", "5"))
    assert read_label(stars, "2", "rows, row 1") == 1
    with pytest.raises(InputError, match="rows, row 1: unknown label '0'; RTE has 1, 2, 5"):
        read_label(stars, "0", "rows, row 1")


def test_rows_are_asked_for_only_as_they_are_predicted(tiny_config, tmp_path):
    predictor = Predictor(write_run(tmp_path, tiny_config, "sst2"))
    served = []

    def rows():
        for i in range(10_000):
            served.append(i)
            yield (f"w{i % 40}",)

    next(predictor(rows()))
    assert len(served) == FIRST_CHUNK_ROWS


def test_a_row_of_too_few_texts_is_named(tiny_config, tmp_path):
    folder = write_run(tmp_path / "run", tiny_config, "rte")
    (tmp_path / "rows.tsv").write_text("one\ttwo\nthree\n")
    with pytest.raises(InputError, match=r"rows.tsv, row 2: 1 texts, and RTE takes 2 \(sentence1 and sentence2\)"):
        CliRunner().invoke(cli.app, ["predict", str(folder), str(tmp_path / "rows.tsv")], catch_exceptions=False)


def test_rows_to_predict_are_utf8_whatever_the_locale_and_numbered_as_in_an_editor(tiny_config, tmp_path):
    folder = write_run(tmp_path / "run", tiny_config, "sst2")
    ascii_locale = CliRunner(charset="ascii")
    shown = ascii_locale.invoke(cli.app, ["predict", str(folder)], input="\ufeffw1 é\rw2\r\nw3\n".encode())
    assert shown.output.splitlines() == invoke("predict", folder, text="w1 é\nw2\nw3\n").output.splitlines()
    assert len(shown.output.splitlines()) == 1 + 3
    with pytest.raises(InputError, match="<stdin>, row 2: not UTF-8 at byte 2 of the row"):
        ascii_locale.invoke(cli.app, ["predict", str(folder)], input=b"w1\rw\xe9\n", catch_exceptions=False)


@pytest.mark.parametrize(("task", "fits"), [("sst2", 14), ("rte", 13)])
def test_predict_says_how_many_rows_were_cut(tiny_config, tmp_path, task, fits):
    folder = write_run(tmp_path / "run", tiny_config, task)
    rows = ["w1 " * (fits - 1) + "w2", "w1 " * fits + "w2", "w1 " * 60, *["w3"] * FIRST_CHUNK_ROWS, "w1 " * 15]
    if task == "rte":  # one token of each row is its second segment's
        rows = [row.removeprefix("w1 ").strip() + "\tw4" for row in rows]
    shown = invoke("predict", folder, text="\n".join(rows) + "\n")
    assert shown.stderr == f"truncated to 16 tokens, the length of the model in {folder}: 3 of {len(rows)} rows\n"
    assert len(shown.stdout.splitlines()) == 1 + len(rows)
    assert invoke("predict", folder, text=rows[0] + "\n").stderr == ""


def test_a_table_leaves_empty_columns_out_and_breaks_no_word_in_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    header = ["task", "metric", "first", "second", "gain", "95 % interval", "signif.", "McNemar"]
    row = ["MNLI, mismatched", "Matthews correlation", "0.512", "0.61", "+0.101", "+0.050 to +0.150", "yes", "p = 0.01"]
    cli.show("a against b", header, [row])
    whole = capsys.readouterr().out.split()
    assert {"mismatched", "correlation", "+0.050", "+0.150", "interval", "signif.", "McNemar"} <= set(whole)
    cli.show("a against b", header, [[*row[:-1], ""]])
    said = capsys.readouterr().out
    assert "McNemar" not in said
    assert "correlation" in said.split()
    cli.show("many", [f"label{i}" for i in range(30)], [["10"] * 30])  # too many to hold their words together
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_results_shows_scores_and_no_codes_for_the_terminal(tmp_path):
    (tmp_path / "a").mkdir()
    write_json(tmp_path / "a" / "record.json", RECORD)
    shown = invoke("results", tmp_path)
    assert shown.exit_code == 0
    joined = "".join(shown.output.split())
    assert "0.750" in joined
    assert "\x1b" not in shown.output
    assert "[bold]" in joined


def test_results_of_all_folders_are_shown_where_none_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no finished run is below runs; `bertglue run` makes one, or name a folder"):
        CliRunner().invoke(cli.app, ["results"], catch_exceptions=False)
    for folder in ("notebook/mine", "toy/rte/lr0.001-seed0", "toy/rte/lr0.001-seed1"):
        write_json(tmp_path / "runs" / folder / "record.json", RECORD)
    shown = invoke("results").output
    assert "runs/notebook: source toy" in shown
    assert "runs/toy: source toy" in shown
    assert shown.count("0.750") == 3
    write_json(tmp_path / "runs/record.json", RECORD)
    assert invoke("results").output.count("0.750") == 4


def test_a_table_is_of_toy_data_where_every_row_is(tmp_path):
    write_json(tmp_path / "a" / "record.json", RECORD)
    assert "(toy data, not GLUE)" in " ".join(invoke("results", tmp_path).output.split())
    write_json(tmp_path / "b" / "record.json", {**RECORD, "source": "own"})
    assert "not GLUE" not in " ".join(invoke("results", tmp_path).output.split())


def test_wrong_input_is_one_line_and_a_status(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bertglue.cli", "results", str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"{tmp_path}: no finished run is there; `bertglue run` makes one"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sst2", "-p", "epochs"], "--parameter epochs has no value; give name=value"),
        (["sst2", "-p", "epoch=1"], "unknown parameter 'epoch'"),
        (["sst3"], "task is 'sst3'; choose from cola, .*wnli, or describe a task of your own: bertglue init sst3"),
        (["sst2", "--profile", "fast"], "profile is 'fast'; choose from bundled, .*tuned, or write params/prof"),
        (["mine", "--profile", "fast", "-p", "files=a.csv"], "profile is 'fast'; choose from"),
    ],
)
def test_run_checks_its_parameters_first(arguments, message, tmp_path):
    with pytest.raises(InputError, match=message):
        CliRunner().invoke(cli.app, ["run", *arguments, "--output", str(tmp_path / "run")], catch_exceptions=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("kind", ["int8", "SavedModel", "keras-16", "int8 static"])
def test_a_kind_that_export_does_not_write_is_refused_with_those_that_it_does(tmp_path, kind):
    shown = invoke("export", tmp_path / "nowhere", tmp_path / "out", "--kind", kind)
    assert str(shown.exception).startswith(f"kind is {kind!r}; choose from 'savedmodel', 'huggingface', 'onnx', ")


def test_a_package_that_is_not_installed_is_one_line(monkeypatch):
    def fail(**options):
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(InputError, match=r"tensorflow is not installed; pip install 'bertglue\[tensorflow,book\]'"):
        cli.run_command()


def test_run_does_not_write_into_an_exported_model(tmp_path):
    (tmp_path / "saved_model.pb").write_text("a model")
    with pytest.raises(InputError, match=f"{tmp_path} holds saved_model.pb and no run; name a new folder"):
        CliRunner().invoke(cli.app, ["run", "sst2", "--output", str(tmp_path)], catch_exceptions=False)
    assert [path.name for path in tmp_path.iterdir()] == ["saved_model.pb"]


def test_outside_a_checkout_the_installed_notebook_and_parameters_are_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_notebook().read_bytes() == (ROOT / "notebooks/finetune.ipynb").read_bytes()
    assert Parameters.from_files(*parameter_files("laptop", "rte")).encoder == "minilm"
    (tmp_path / "params/tasks").mkdir(parents=True)
    (tmp_path / "params/tasks/rte.yaml").write_text("task: rte\nepochs: 7\n")
    assert Parameters.from_files(*parameter_files("toy", "rte")).epochs == 7
    with pytest.raises(InputError, match="params/tasks/mine.yaml: No such file"):
        Parameters.from_files(*parameter_files("toy", "mine"))


def test_doctor_names_the_device_and_the_versions():
    environment = {**os.environ, "COLUMNS": "300", "TFHUB_CACHE_DIR": "", "XDG_CACHE_HOME": "/caches"}
    command = [sys.executable, "-m", "bertglue.cli", "doctor"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    for word in ("device", "backend", "keras", "cores", "bertglue/tfhub (not there yet)"):
        assert word in done.stdout
