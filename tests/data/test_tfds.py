"""The tfds source: tensorflow-datasets' own GLUE builder, offline, on small archives made here."""

import hashlib
import io
import zipfile
from pathlib import Path

import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow_datasets as tfds
from published_encoders import random_weights, write_huggingface
from tensorflow_datasets.core.download import downloader
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.text import glue

from bertglue import InputError
from bertglue.data.dataset import Split
from bertglue.data.load_data import load_data
from bertglue.data.published_glue import prepare_published
from bertglue.data.tfds import prepare
from bertglue.tasks import TASKS
from bertglue.tools import fetch

NLI = "index\tpromptID\tpairID\tb1\tb2\tp1\tp2\tp3\tsentence1\tsentence2\tlabel1\tgold_label\n"
NLI_TEST = "index\tpromptID\tpairID\tb1\tb2\tp1\tp2\tp3\tsentence1\tsentence2\n"
NLI_ROW = "{}\t1\t1n\t-\t-\t-\t-\t-\t{}\t{}\tneutral\t{}\n"
STSB = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2"
MRPC = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
PAIR = "index\tsentence1\tsentence2\tlabel\n"
ARCHIVES = {
    "cola": {
        "train.tsv": 'gj04\t1\t\tHe said "no".\ngj04\t0\t*\tSaid he.\n',
        "dev.tsv": "gj04\t0\t*\tÉtés.\n",
        "test.tsv": "index\tsentence\n0\tOut.\n",
    },
    "sst2": {
        "train.tsv": "sentence\tlabel\nfine \t1\nbad \t0\n",
        "dev.tsv": "sentence\tlabel\nso-so \t0\n",
        "test.tsv": "index\tsentence\n0\tgood\n",
    },
    "stsb": {
        "train.tsv": f"{STSB}\tscore\n0\tg\tf\t2012\t1\ta\tb\tOne.\tTwo.\t3.800\n",
        "dev.tsv": f"{STSB}\tscore\n0\tg\tf\t2012\t1\ta\tb\tOne.\tOne.\t5.000\n",
        "test.tsv": f"{STSB}\n0\tg\tf\t2012\t1\ta\tb\tA.\tB.\n",
    },
    "qqp": {
        "train.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t1\t2\tWho?\tWhom?\t1\n2\tbroken\n",
        "dev.tsv": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t1\t2\tWhy?\tWhen?\t0\n",
        "test.tsv": "id\tquestion1\tquestion2\n0\tA?\tB?\n",
    },
    "mnli": {
        "train.tsv": NLI + NLI_ROW.format(0, "It rains.", "It pours.", "neutral"),
        "dev_matched.tsv": NLI + NLI_ROW.format(0, "A.", "A.", "entailment"),
        "dev_mismatched.tsv": NLI + NLI_ROW.format(0, "B.", "Not B.", "contradiction"),
        "test_matched.tsv": NLI_TEST + "0\t1\t1\t-\t-\t-\t-\t-\tC.\tD.\n",
        "test_mismatched.tsv": NLI_TEST + "0\t1\t1\t-\t-\t-\t-\t-\tE.\tF.\n",
    },
    "qnli": {
        "train.tsv": "index\tquestion\tsentence\tlabel\n0\tWho?\tShe.\tentailment\n",
        "dev.tsv": "index\tquestion\tsentence\tlabel\n0\tWho?\tThere.\tnot_entailment\n",
        "test.tsv": "index\tquestion\tsentence\n0\tA?\tB.\n",
    },
    "rte": {
        "train.tsv": PAIR + "0\tA.\tB.\tnot_entailment\n",
        "dev.tsv": PAIR + "0\tA.\tA.\tentailment\n",
        "test.tsv": "index\tsentence1\tsentence2\n0\tC.\tD.\n",
    },
    "wnli": {
        "train.tsv": PAIR + "0\tA.\tB.\t1\n",
        "dev.tsv": PAIR + "0\tC.\tD.\t0\n",
        "test.tsv": "index\tsentence1\tsentence2\n" + "".join(f"{i}\tE{i}.\tF.\n" for i in range(20)),
    },
}
FILES = {  # what is published bare
    "AX.tsv": "index\tsentence1\tsentence2\n0\tYes.\tNo.\n",
    "train": MRPC + "1\t10\t11\tTrain a.\tTrain b.\n0\t12\t13\tDev a.\tDev b.\n",
    "test": MRPC + "1\t20\t21\tTest a.\tTest b.\n",
    "dev_ids": "12\t13\n",
}


def zipped(folder, files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{folder}/{name}", content)
    return buffer.getvalue()


@pytest.fixture
def manual(tmp_path, monkeypatch):
    """Small archives where a user would put them, with their checksums in place of the published ones."""
    folder = tmp_path / "tfds" / "downloads" / "manual"
    folder.mkdir(parents=True)
    contents = {}
    for config in glue.Glue.builder_configs.values():
        if config.name in ARCHIVES:
            contents[config.data_url] = zipped(config.data_dir, ARCHIVES[config.name])
    ax = glue.Glue.builder_configs["ax"].data_url
    bare = {ax: "AX.tsv", glue._MRPC_TRAIN: "train", glue._MRPC_TEST: "test", glue._MRPC_DEV_IDS: "dev_ids"}
    contents |= {url: FILES[name].encode() for url, name in bare.items()}
    infos = {}
    for url, content in contents.items():
        name = glue.Glue.url_infos[url].filename
        (folder / name).write_bytes(content)
        infos[url] = UrlInfo(size=len(content), checksum=hashlib.sha256(content).hexdigest(), filename=name)
    monkeypatch.setattr(glue.Glue, "url_infos", infos)
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / "tfds"))
    return folder


def rows(split: Split) -> list[tuple]:
    return [(*texts, label) for *texts, label in zip(*split.segments, split.labels.tolist(), strict=True)]


EXPECTED = {
    "cola": {"train": [('He said "no".', 1), ("Said he.", 0)], "validation": [("Étés.", 0)], "test": [("Out.", -1)]},
    "sst2": {"train": [("fine ", 1), ("bad ", 0)], "validation": [("so-so ", 0)], "test": [("good", -1)]},
    "mrpc": {
        "train": [("Train a.", "Train b.", 1)],
        "validation": [("Dev a.", "Dev b.", 0)],
        "test": [("Test a.", "Test b.", -1)],
    },
    "stsb": {
        "train": [("One.", "Two.", pytest.approx(3.8))],
        "validation": [("One.", "One.", 5.0)],
        "test": [("A.", "B.", -1)],
    },
    "qqp": {"train": [("Who?", "Whom?", 1)], "validation": [("Why?", "When?", 0)], "test": [("A?", "B?", -1)]},
    "mnli": {
        "train": [("It rains.", "It pours.", 1)],
        "validation_matched": [("A.", "A.", 0)],
        "validation_mismatched": [("B.", "Not B.", 2)],
        "test_matched": [("C.", "D.", -1)],
        "test_mismatched": [("E.", "F.", -1)],
        "ax": [("Yes.", "No.", -1)],
    },
    "qnli": {"train": [("Who?", "She.", 0)], "validation": [("Who?", "There.", 1)], "test": [("A?", "B.", -1)]},
    "rte": {"train": [("A.", "B.", 1)], "validation": [("A.", "A.", 0)], "test": [("C.", "D.", -1)]},
    "wnli": {
        "train": [("A.", "B.", 1)],
        "validation": [("C.", "D.", 0)],
        "test": [(f"E{i}.", "F.", -1) for i in range(20)],
    },
}


@pytest.mark.parametrize("name", TASKS)
def test_every_task_as_tfds_builds_it_in_the_order_of_its_files(manual, name):
    data = load_data(TASKS[name], "tfds")
    assert {split: rows(data[split]) for split in data.splits} == EXPECTED[name]


def test_what_is_prepared_is_not_prepared_again(manual):
    folder = prepare(TASKS["rte"])
    for path in manual.iterdir():
        path.unlink()
    assert prepare(TASKS["rte"]) == folder
    assert len(load_data(TASKS["rte"], "tfds")["train"]) == 1


def test_fetch_prepares_the_data_and_finds_the_encoder(manual, tmp_path, capsys):
    path = tmp_path / "parameters.yaml"
    folder = write_huggingface(tmp_path / "bert", random_weights())
    path.write_text(f"task: rte\nsource: tfds\nencoder: {folder}\n")
    assert fetch.main([str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()[-2:]
    assert lines == [f"rte, tfds: {prepare(TASKS['rte'])}", f"{folder}: {folder}, 2 layers, in {folder}"]
    assert fetch.main([str(path), "--encoder", "nowhere"]) == 1
    assert capsys.readouterr().err.startswith("'nowhere' is no encoder that is known")


@pytest.fixture
def unreachable(manual, monkeypatch):
    """No archive by hand, and none at the address of RTE's."""
    for path in manual.iterdir():
        path.unlink()
    infos = glue.Glue.url_infos
    monkeypatch.setattr(
        glue.Glue, "url_infos", {f"http://127.0.0.1:9/{info.filename}": info for info in infos.values()}
    )
    monkeypatch.setattr(downloader, "MAX_RETRIES", 0)
    monkeypatch.setattr(glue.Glue.builder_configs["rte"], "data_url", "http://127.0.0.1:9/RTE.zip")
    return manual


def test_an_archive_that_is_not_there_is_named_with_its_place(unreachable):
    manual = unreachable
    with pytest.raises(InputError, match=rf"go online once, or put RTE.zip into {manual}") as error:
        prepare(TASKS["rte"])
    assert "\n" not in str(error.value)


def test_an_archive_with_another_checksum_is_refused(manual):
    path = manual / "RTE.zip"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"glue/rte could not be prepared .*NonMatchingChecksumError"):
        prepare(TASKS["rte"])


def fill_hub_cache(folder: Path) -> Path:
    """Put RTE, as the rows above have it, where huggingface_hub keeps what it fetched of `nyu-mll/glue`."""
    cached = folder / "datasets--nyu-mll--glue"
    snapshot = cached / "snapshots" / ("0" * 40)
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(snapshot.name)
    (snapshot / "rte").mkdir(parents=True)
    for split, found in EXPECTED["rte"].items():
        *texts, labels = zip(*found, strict=True)
        table = pa.table(dict(zip(TASKS["rte"].columns, texts, strict=True)) | {"label": labels, "idx": [0]})
        pq.write_table(table, snapshot / "rte" / f"{split}-00000-of-00001.parquet")
    return snapshot


def test_where_tfds_is_out_of_reach_the_hub_is_asked_and_the_source_says_so(unreachable, tmp_path, monkeypatch, capsys):
    """First of all the hub gives them; then they lie in its cache, and tfds is not tried again."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    snapshot_download = huggingface_hub.snapshot_download

    def download(*asked, local_files_only=False, **options):
        if local_files_only:
            return snapshot_download(*asked, local_files_only=True, **options)
        return str(fill_hub_cache(tmp_path / "hub"))

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    first = load_data(TASKS["rte"], "tfds")
    said = capsys.readouterr().out
    assert "Trying nyu-mll/glue of Hugging Face's hub, which has the same rows" in said
    assert "rte: from nyu-mll" in said
    again = load_data(TASKS["rte"], "tfds")
    assert "Trying" not in capsys.readouterr().out
    for data in (first, again):
        assert data.source == "huggingface"
        assert {split: rows(data[split]) for split in data.splits} == EXPECTED["rte"]


def test_where_neither_is_in_reach_both_reasons_are_one_line(unreachable, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"put RTE.zip into .*\. nyu-mll/glue could not be fetched") as error:
        prepare_published(TASKS["rte"])
    assert "\n" not in str(error.value)
