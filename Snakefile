# The graph of the report: one papermill run per task, learning rate and seed; then results.json; then the book.
# `make book` calls it; `snakemake --help` has the rest (clusters, dry runs, graphs).
import os
import re
import shlex
import sys
from pathlib import Path

from bertglue.environment import has_accelerator
from bertglue.errors import InputError
from bertglue.tools.fetch import is_here
from bertglue.models.bundled import BUNDLED_FOLDER
from bertglue.parameters import Parameters
from bertglue.report.measured_files import REFERENCE_COMPRESSIONS, REFERENCE_RUNS
from bertglue.data.loading import check_source
from bertglue.tasks import TASKS


def read_parameters(task):
    """Check a task's parameters before any run starts."""
    given = {name: config[name] for name in ("glue_dir", "encoder") if config.get(name)}
    files = [f"params/profiles/{PROFILE}.yaml", f"params/tasks/{task}.yaml"]
    if task not in TASKS:
        raise InputError(f"TASKS names {task!r}; choose from {', '.join(TASKS)}")
    parameters = Parameters.from_files(*files, **given)
    check_source(parameters)
    return parameters


def to_compress():
    """Name the tasks whose runs are made smaller: what COMPRESS lists, or else two that held a part of train out."""
    asked = config.get("compress")
    if asked in (None, ""):
        return [task for task in ("sst2", "mrpc") if task in CHOSEN and PARAMETERS[task].hold_out]
    tasks = [] if asked == "none" else str(asked).split()
    for task in tasks:
        if task not in CHOSEN:
            raise InputError(f"COMPRESS names {task!r}; choose from TASKS ({' '.join(CHOSEN)}), or give none")
        if not PARAMETERS[task].hold_out:
            raise InputError(
                f"COMPRESS names {task}, whose profile has hold_out 0; set a share of train such as 0.1 in "
                f"params/profiles/{PROFILE}.yaml"
            )
    return tasks


def numbers(name, convert):
    """Read the numbers that a variable lists."""
    given = config.get(name)
    text = "" if given is None else str(given)  # Snakemake reads an empty value as None
    try:
        return [convert(word) for word in text.split()]
    except ValueError:
        raise InputError(f"{name.upper()} is {text!r}; list numbers, with spaces between them") from None


PROFILE = str(config.get("profile", "toy"))
CHOSEN = str(config.get("tasks", " ".join(TASKS))).split()
try:
    if not re.fullmatch(r"[\w-]+", PROFILE):
        raise InputError(f"PROFILE is {PROFILE!r}; give the name of a file under params/profiles")
    SEEDS = numbers("seeds", int) or [0]
    RATES = numbers("learning_rates", float)
    JOBS = (numbers("jobs", int) or [workflow.cores or 1])[0]
    if JOBS < 1:
        raise InputError(f"JOBS is {JOBS}; give 1 or more")
    PARAMETERS = {task: read_parameters(task) for task in CHOSEN}
    COMPRESS = to_compress()
except InputError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)  # nothing was begun
THREADS = max(1, (workflow.cores or 1) // JOBS)
RUN = f"runs/{PROFILE}/{{task}}/lr{{learning_rate}}-seed{{seed}}"
# what each run is asked for, by its folder
EXPECTED = {
    RUN.format(task=task, learning_rate=rate, seed=seed): {
        **PARAMETERS[task].model_dump(), "learning_rate": rate, "seed": seed
    }
    for task in CHOSEN
    for rate in RATES or [PARAMETERS[task].learning_rate]
    for seed in SEEDS
}
RUNS = list(EXPECTED)
# of a task with several runs the first is made smaller, {folder: task}
SMALLER = f"runs/{PROFILE}/compressed/{{task}}/lr{{learning_rate}}-seed{{seed}}"
COMPRESSIONS = {
    SMALLER.format(task=task, learning_rate=(RATES or [PARAMETERS[task].learning_rate])[0], seed=SEEDS[0]): task
    for task in COMPRESS
}
# after a failure the Makefile asks for a book of what is there
DONE = [run for run in RUNS if os.path.exists(f"{run}/record.json")] if config.get("partial") else RUNS
MADE_SMALLER = [f for f in COMPRESSIONS if os.path.exists(f"{f}/compression.json")] if config.get("partial") else list(COMPRESSIONS)
PAGES = [
    "intro", "data", "model", "design", "modifications", "results", "viability", "protocol", "errata", "hardware", "status",
    "contents",
]
MEASURED = sorted(str(path) for path in Path("lib/bertglue/report/measured").iterdir())
# what pages are drawn by: everything above the runs, and the numbers that others printed
DRAWN_BY = sorted(
    str(path)
    for folder in ("report", "runs", "evaluation")
    for path in Path("lib/bertglue", folder).rglob("*")
    if path.suffix in (".py", ".yaml", ".mplstyle")
)
REFERENCE = [str(path) for path in (REFERENCE_RUNS, REFERENCE_COMPRESSIONS, BUNDLED_FOLDER / "pretraining.json")]
BOOK, PDF = "book/_build/html/index.html", "book/_build/pdf/bertglue.pdf"


def fetched(wildcards):
    """Name what a run needs downloaded before it starts."""
    parameters = PARAMETERS[wildcards.task]
    elsewhere = parameters.source == "tfds" or not is_here(parameters.encoder)
    return [f"runs/{PROFILE}/fetched/{wildcards.task}.txt"] if elsewhere else []


wildcard_constraints:
    task="[a-z0-9]+",
    learning_rate="[0-9.e+-]+",
    seed=r"\d+",
    page="|".join(PAGES),


localrules:
    results,
    page,
    transfer,
    book,
    pdf,


rule all:
    input:
        BOOK,


# Downloads are made once, before the runs that share them start side by side.
rule fetch:
    input:
        profile=f"params/profiles/{PROFILE}.yaml",
        task="params/tasks/{task}.yaml",
    output:
        f"runs/{PROFILE}/fetched/{{task}}.txt",
    log:
        f"runs/{PROFILE}/logs/fetch-{{task}}.log",
    params:
        encoder=f"--encoder {shlex.quote(str(config['encoder']))}" if config.get("encoder") else "",
    message:
        "{wildcards.task}: fetching its data and encoder"
    shell:
        """
        python -m bertglue.tools.fetch {input.profile} {input.task} {params.encoder} \
          > {output}.partial 2> {log} || {{ tail -n 1 {log} >&2; exit 1; }}
        mv {output}.partial {output}
        """


# Everything is written beside the run's folder first, which gets its name when all of it is there.
rule finetune:
    input:
        fetched,
        notebook="notebooks/finetune.ipynb",
        profile=f"params/profiles/{PROFILE}.yaml",
        task="params/tasks/{task}.yaml",
    output:
        notebook=f"{RUN}/finetune.ipynb",
        html=f"{RUN}/finetune.html",
        record=f"{RUN}/record.json",
    log:
        f"runs/{PROFILE}/logs/{{task}}-lr{{learning_rate}}-seed{{seed}}.log",
    params:
        folder=lambda wildcards, output: os.path.dirname(output.record),
        parameters=lambda wildcards: PARAMETERS[wildcards.task].model_dump_json(),
        given=" ".join(
            f"-r {name} {shlex.quote(str(config[name]))}" for name in ("glue_dir", "encoder") if config.get(name)
        ),
    threads: THREADS
    resources:
        run=1,  # JOBS bounds them
        accelerator=int(has_accelerator()),  # runs share processors, never an accelerator
    message:
        "{wildcards.task}: fine-tuning (learning rate {wildcards.learning_rate}, seed {wildcards.seed}); log in {log}"
    shell:
        """
        rm -rf {params.folder} && mkdir -p {params.folder}.partial  # where a killed run left the state to go on from
        export TF_NUM_INTRAOP_THREADS={threads} OMP_NUM_THREADS={threads} TF_CPP_MIN_LOG_LEVEL=2
        {{ papermill {input.notebook} {params.folder}.partial/finetune.ipynb --no-progress-bar --log-output \
            -f {input.profile} -f {input.task} {params.given} \
            -p learning_rate {wildcards.learning_rate} -p seed {wildcards.seed} \
            -r run_dir {params.folder}.partial \
          && jupyter nbconvert --to html --embed-images --log-level ERROR {params.folder}.partial/finetune.ipynb
        }} > {log} 2>&1 || {{ echo "{wildcards.task}: $(grep . {log} | tail -n 1)  (log: {log})" >&2; exit 1; }}
        mv {params.folder}.partial {params.folder}
        """


# Runs after fine-tuning on its classifier; the files that it writes, and measures, lie beside its record.
rule compress:
    input:
        notebook="notebooks/compress.ipynb",
        record=f"{RUN}/record.json",
        parameters=[f for f in (f"params/compression/{PROFILE}.yaml",) if os.path.exists(f)],
    output:
        notebook=f"{SMALLER}/compress.ipynb",
        record=f"{SMALLER}/compression.json",
    log:
        f"runs/{PROFILE}/logs/compress-{{task}}-lr{{learning_rate}}-seed{{seed}}.log",
    params:
        folder=lambda wildcards, output: os.path.dirname(output.record),
        run=lambda wildcards, input: os.path.dirname(input.record),
        given=f"-r glue_dir {shlex.quote(str(config['glue_dir']))}" if config.get("glue_dir") else "",
        files=lambda wildcards, input: " ".join(f"-f {name}" for name in input.parameters),
    priority: 1  # the longest of all: as soon as its run is there
    threads: THREADS
    resources:
        run=1,
        accelerator=int(has_accelerator()),
    message:
        "{wildcards.task}: making the classifier smaller; log in {log}"
    shell:
        """
        rm -rf {params.folder} {params.folder}.partial && mkdir -p {params.folder}.partial
        export TF_NUM_INTRAOP_THREADS={threads} OMP_NUM_THREADS={threads} TF_CPP_MIN_LOG_LEVEL=2
        papermill {input.notebook} {params.folder}.partial/compress.ipynb --no-progress-bar --log-output \
            {params.files} {params.given} -r run_dir {params.run} -r output_dir {params.folder}.partial > {log} 2>&1 \
          || {{ echo "{wildcards.task}, made smaller: $(grep . {log} | tail -n 1)  (log: {log})" >&2; exit 1; }}
        mv {params.folder}.partial {params.folder}
        """


rule results:
    input:
        expand("{run}/record.json", run=DONE),
        expand("{folder}/compression.json", folder=MADE_SMALLER),
    output:
        results=f"runs/{PROFILE}/results.json",
        status=f"runs/{PROFILE}/status.json",
    params:
        runs=EXPECTED,
        compressions=COMPRESSIONS,
    message:
        "gathering {output.results}"
    run:
        from pathlib import Path

        from bertglue.runs.collection import gather

        gather(params.runs, Path(output.results), Path(f"runs/{PROFILE}/logs"), params.compressions)


rule page:
    input:
        notebook="notebooks/{page}.ipynb",
        results=f"runs/{PROFILE}/results.json",
        status=f"runs/{PROFILE}/status.json",
        measured=MEASURED,
        reference=REFERENCE,
        code=DRAWN_BY,
    output:
        f"runs/{PROFILE}/pages/{{page}}.ipynb",
    log:
        f"runs/{PROFILE}/logs/{{page}}.log",
    message:
        "{wildcards.page}: filling the page"
    shell:
        """
        papermill {input.notebook} {output} --no-progress-bar -p results {input.results} > {log} 2>&1 \
          || {{ echo "{wildcards.page}: $(grep . {log} | tail -n 1)  (log: {log})" >&2; exit 1; }}
        """


# This page shows the reference run, which is part of the repository.
rule transfer:
    input:
        notebook="notebooks/transfer.ipynb",
        records=REFERENCE,
        code=DRAWN_BY,
    output:
        f"runs/{PROFILE}/pages/transfer.ipynb",
    log:
        f"runs/{PROFILE}/logs/transfer.log",
    message:
        "transfer: filling the page"
    shell:
        """
        papermill {input.notebook} {output} --no-progress-bar > {log} 2>&1 \
          || {{ echo "transfer: $(grep . {log} | tail -n 1)  (log: {log})" >&2; exit 1; }}
        """


rule book:
    input:
        "_config.yml",
        "book/_toc.yml",
        "lib/bertglue/report/build_book.py",
        "lib/bertglue/report/sphinx_theme.py",
        [f"book/{name}" for name in sorted(os.listdir("book")) if name.endswith((".md", ".bib"))],
        [f"book/_static/{name}" for name in sorted(os.listdir("book/_static"))],
        notebooks=expand("{run}/finetune.ipynb", run=[r for r in DONE if r.endswith(f"seed{SEEDS[0]}")]),
        compressions=expand("{folder}/compress.ipynb", folder=MADE_SMALLER),
        pages=expand(f"runs/{PROFILE}/pages/{{page}}.ipynb", page=[*PAGES, "transfer"]),
    output:
        BOOK,
    log:
        f"runs/{PROFILE}/logs/book.log",
    params:
        source=f"runs/{PROFILE}/book",
        profile=PROFILE,
    message:
        "building the book; log in {log}"
    shell:
        """
        {{ python -m bertglue.report.build_book {params.source} --profile {params.profile} {input.notebooks} {input.compressions} {input.pages} \
          && jupyter-book build {params.source} --config {params.source}/_config.yml --path-output book \
               -W -n --keep-going --all
        }} > {log} 2>&1 || {{ tail -n 20 {log} >&2; exit 1; }}
        """


# The same pages as one document, through a Chromium that is installed.
rule pdf:
    input:
        BOOK,
        "lib/bertglue/report/build_pdf.py",
        "lib/bertglue/report/paper.css",
    output:
        PDF,
    log:
        f"runs/{PROFILE}/logs/pdf.log",
    params:
        source=f"runs/{PROFILE}/book",
    message:
        "printing {output}"
    shell:
        "python -m bertglue.report.build_pdf {params.source} {output} > {log} 2>&1 || {{ tail -n 1 {log} >&2; exit 1; }}"
