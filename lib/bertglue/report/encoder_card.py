"""The card of the bundled encoder: what it is, what it was made from, what it can do; its numbers are the records'."""

from __future__ import annotations

from pathlib import Path

from bertglue.atomic_files import write_text
from bertglue.models.bundled import BUNDLED_FOLDER, read_pretraining_record
from bertglue.models.encoder_files import load_saved_encoder, read_encoder_config
from bertglue.report import bundled_runs
from bertglue.report.pages import pretraining_gain

CARD_FILE = "README.md"
CARD_TEMPLATE = """# The bundled encoder

A small BERT, uncased English, that this project pre-trained from nothing, so that fine-tuning can be shown without a
download: {layers} layers of {hidden} with {heads} heads, {positions} positions, {entries:,} word pieces,
{parameters:,} parameters in half precision, {megabytes:.1f} MB with the vocabulary.
`bertglue.load_encoder("bundled")` reads it.

## Text

Wikipedia articles (CC BY-SA, by their authors) and books in the public domain. Headings, tables of contents, licences,
tables and repeated paragraphs were dropped, and one document in a hundred was held out. The text is not part of this
repository; the weights are under its licence.

## Training

BERT's two tasks (Devlin et al., 2019): masked words, whole words at a time, 80 % hidden, 10 % replaced, 10 % left; and
next sentences. No dropout.

{story}

Why this size: in trial runs of five minutes, an encoder of 4 layers of 256 came as far as this one (held-out loss 6.83
against 6.75), and it is four times slower to use, here and by everybody after. To make the encoder again:

```console
papermill notebooks/pretrain.ipynb pretrained.ipynb -y "texts: [wiki.txt.xz, books.txt.xz]" -p precision {precision}
cp runs/pretraining/encoder/* lib/bertglue/models/bundled_encoder/
```

## What it can do

Fine-tuned on files of the GLUE benchmark (MNLI, QNLI and QQP with a part of their rows, see the book), {seeds} seeds
each, the learning rate chosen on a held-out tenth of train; validation split, mean over seeds with its standard error.
*Randomly initialized* is the same encoder without pre-training. The last columns are published **test** scores of
BERTs that read far more text, and all rows.

{scores}

`make bundled-runs GLUE_DIR=...` makes these runs again.

## Limits

It has read a small part of what published encoders have, and it is as small as the smallest of them. It serves to
teach, to test and to compare recipes, not to be deployed. Old books shaped it, with what their authors took for granted
about people; it must not be used to judge any. English only; no more than {positions} tokens.
"""


def render_card(folder: Path = BUNDLED_FOLDER) -> str:
    """Write the card from the story and the records."""
    sizes, story, runs = (
        read_encoder_config(folder),
        read_pretraining_record(folder),
        bundled_runs.read_bundled_runs(),
    )
    files = [file for file in folder.iterdir() if file.name != CARD_FILE]
    return CARD_TEMPLATE.format(
        layers=len(sizes.heads),
        hidden=sizes.hidden_size,
        heads=sizes.heads[0],
        positions=sizes.max_positions,
        entries=sizes.vocabulary_size,
        parameters=load_saved_encoder(folder).count_params(),
        megabytes=sum(file.stat().st_size for file in files) / 1e6,
        precision=story["parameters"]["precision"],
        story=markdown(pretraining_gain.pretraining_frame(story)),
        seeds=len({run["seed"] for run in runs}),
        scores=markdown(pretraining_gain.scores_frame(runs)),
    )


def markdown(frame) -> str:
    return frame.to_markdown(index=False, disable_numparse=True)


def write_card(folder: Path = BUNDLED_FOLDER) -> Path:
    """Write the card beside the encoder."""
    return write_text(folder / CARD_FILE, render_card(folder))
