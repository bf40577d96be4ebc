"""Download and prepare what runs need from elsewhere, once, before they start side by side."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bertglue.encoder_names import BUNDLED_NAMES
from bertglue.errors import exit_status
from bertglue.parameters import Parameters


def is_local(source: str | None) -> bool:
    """Return whether an encoder or a preprocessor needs no download: it comes with the library, or lies here."""
    return source is None or source in BUNDLED_NAMES or Path(source).expanduser().exists()


def fetch(parameters: Parameters) -> list[str]:
    """Prepare a run's data and find its encoder and its preprocessor; return a line for each that says where it lies.

    Nothing of what is fetched is run.
    """
    task = parameters.definition
    found = []
    if parameters.source == "tfds":
        from bertglue.data.published_glue import prepare_published

        source, folder = prepare_published(task)
        found.append(f"{task.name}, {source}: {folder}")
    if parameters.source == "huggingface" and not parameters.glue_dir:
        from bertglue.data.glue_parquet import prepare

        found.append(f"{task.name} of Hugging Face's hub: {prepare(task)}")
    if parameters.encoder not in BUNDLED_NAMES:
        from bertglue.models.find_encoder import find_encoder

        encoder = find_encoder(parameters.encoder)
        heads = encoder.config.heads  # what is no BERT ends here, before any run
        found.append(f"{parameters.encoder}: {encoder.place}, {len(heads)} layers, in {encoder.folder}")
    if parameters.preprocessor:
        from bertglue.models.encoder_places import find_folder

        found.append(f"{parameters.preprocessor}: {find_folder(parameters.preprocessor).folder}")
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bertglue.tools.fetch", description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="parameter files, later ones over earlier ones")
    parser.add_argument("--encoder", help="another encoder than the files name")
    options = parser.parse_args(arguments)
    given = {"encoder": options.encoder} if options.encoder else {}
    return exit_status(lambda: print("\n".join(fetch(Parameters.from_files(*options.files, **given)))))


if __name__ == "__main__":
    sys.exit(main())
