# The graph of the report: one papermill run per task, learning rate and seed; then results.json; then the book.
# `make book` calls it; `snakemake --help` has the rest (clusters, dry runs, graphs). What it runs is planned, and
# tested, in lib/bertglue/tools/book_plan.py: here stand the rules alone.
import json

from snakemake.logging import logger

from bertglue.environment import ask_for_huge_pages
from bertglue.runs.execute import START_TIMEOUT
from bertglue.runs.status import IDENTITY_FILE, is_compression_of
from bertglue.tools.lock import HOLD
from bertglue.tools.book_plan import PAGES, RECORDED_PAGES, book_sources, page_sources, parameter_files, plan_or_exit

ask_for_huge_pages()
logger.addFilter(lambda record: "no backup found" not in record.getMessage())  # of a run that fails the first time
PLAN = plan_or_exit(config, workflow.resource_settings.cores)  # none on a cluster, where `workflow.cores` is an error
WHOLE = PLAN.book_records
PAPERMILL = f"python -m bertglue.tools.notebook --no-progress-bar --start-timeout {START_TIMEOUT}"
BOOK, PDF = "book/_build/html/index.html", "book/_build/pdf/bertglue.pdf"


wildcard_constraints:
    task="[a-z][a-z0-9_]*",
    learning_rate="[0-9.e+-]+",
    seed=r"\d+",
    page="|".join(PAGES),
    recorded="|".join(RECORDED_PAGES),


localrules:
    fetch,
    results,
    page,
    recorded_page,
    book,
    pdf,
    build_book,
    print_book,


# What is asked for by name: a page and every run and compression that it is made from, for one that was removed is made
# again, which Snakemake would not do for what it needs along the way.
rule book:
    input:
        BOOK,
        *WHOLE,


rule pdf:
    input:
        PDF,
        *WHOLE,


# Downloads are made once, before the runs that share them start side by side.
rule fetch:
    input:
        lambda wildcards: parameter_files(PLAN.profile, wildcards.task),
    output:
        f"{PLAN.folder}/fetched/{{task}}.txt",
    log:
        f"{PLAN.folder}/logs/fetch-{{task}}.log",
    params:
        encoder=PLAN.fetch_options(),
    message:
        "{wildcards.task}: fetching its data and encoder"
    shell:
        """
        {HOLD}
        python -m bertglue.tools.fetch {input} {params.encoder} \
          > {output}.partial 2> {log} || {{ tail -n 1 {log} >&2; exit 1; }}
        mv {output}.partial {output}
        """


# Everything is written beside the run's folder first, which gets its name when all of it is there; a killed run leaves
# the checkpoint to resume from in the partial folder. `update`: a run that was there before stays until then, and where
# the new one fails or is stopped; `again` is newer than it, since Snakemake takes what it left for what it asked for. A
# run that is there already, since its parameters are again what they were before such a try, is kept as it is.
rule finetune:
    # ancient: a finished run is not made again because a file is newer, but where its identity changed (below)
    input:
        lambda wildcards: [ancient(path) for path in PLAN.needs(wildcards.task)],
        again=lambda wildcards: PLAN.again(wildcards),
        notebook=ancient("notebooks/finetune.ipynb"),
        files=lambda wildcards: [ancient(path) for path in parameter_files(PLAN.profile, wildcards.task)],
    output:
        notebook=update(f"{PLAN.run_pattern}/finetune.ipynb"),
        html=update(f"{PLAN.run_pattern}/finetune.html"),
        record=update(f"{PLAN.run_pattern}/record.json"),
    log:
        PLAN.log_pattern,
    params:
        identity=lambda wildcards: PLAN.identity(wildcards.task),
        encoder=lambda wildcards: PLAN.encoder_option(wildcards.task),
    priority: lambda wildcards: PLAN.priority(wildcards.task)
    threads: PLAN.threads
    resources:
        run=1,  # JOBS bounds them
        accelerator=PLAN.accelerator,  # runs share processors, never an accelerator
        runtime=PLAN.minutes,  # of a cluster's job, as are the next two
        mem_mb=PLAN.memory_mb,
        gres=PLAN.gres,
    message:
        "{wildcards.task}: fine-tuning (learning rate {wildcards.learning_rate}, seed {wildcards.seed}); log in {log}"
    shell:
        """
        {HOLD}
        folder=$(dirname {output.record})
        if [ -e {output.record} ] && [ -e {output.notebook} ] && [ -e {output.html} ] && [ -e $folder/{IDENTITY_FILE} ] \
            && [ "$(cat $folder/{IDENTITY_FILE})" = {params.identity:q} ]; then
          echo "{wildcards.task}: the run that is there is this one; it is kept"
          rm -rf $folder.partial {log}.again && touch {output}
          exit 0
        fi
        mkdir -p $folder.partial
        export TF_NUM_INTRAOP_THREADS={threads} OMP_NUM_THREADS={threads} TF_CPP_MIN_LOG_LEVEL=3
        {{ {PLAN.on_its_gpu} {PAPERMILL} {input.notebook} $folder.partial/finetune.ipynb --log-output \
            $(printf -- "-f %s " {input.files}) {PLAN.finetune_options} {params.encoder} \
            -p learning_rate {wildcards.learning_rate} -p seed {wildcards.seed} -r run_dir $folder.partial \
          && jupyter-nbconvert --to html --embed-images --log-level ERROR $folder.partial/finetune.ipynb
        }} > {log} 2>&1 || {{ echo "{wildcards.task}: $(grep . {log} | tail -n 1)  (log: {log})" >&2; exit 1; }}
        printf %s {params.identity:q} > $folder.partial/{IDENTITY_FILE}
        rm -rf $folder && mv $folder.partial $folder && rm -f {log}.again
        """


def compressed_record(wildcards):
    """The record of the run that a compression is of; its time counts only where it is another run's than before."""
    record, compression = (pattern.format(**wildcards) for pattern in PLAN.compressed_patterns)
    return ancient(record) if is_compression_of(compression, record) else record


# Runs after fine-tuning on its classifier; the files that it writes, and measures, lie beside its record.
rule compress:
    input:
        notebook=ancient("notebooks/compress.ipynb"),
        record=compressed_record,
        parameters=[ancient(path) for path in PLAN.compression_files()],
    output:
        notebook=f"{PLAN.compression_pattern}/compress.ipynb",
        record=f"{PLAN.compression_pattern}/compression.json",
    log:
        f"{PLAN.folder}/logs/compress-{{task}}-lr{{learning_rate}}-seed{{seed}}.log",
    params:
        identity=lambda wildcards: PLAN.compression_identity(wildcards.task),
    priority: 4  # the longest of all: as soon as its run is there
    threads: PLAN.threads
    resources:
        run=1,
        accelerator=PLAN.accelerator,
        runtime=PLAN.minutes,
        mem_mb=PLAN.memory_mb,
        gres=PLAN.gres,
    message:
        "{wildcards.task}: compressing the classifier; log in {log}"
    shell:
        """
        {HOLD}
        folder=$(dirname {output.record})
        rm -rf $folder.partial && mkdir -p $folder.partial
        export TF_NUM_INTRAOP_THREADS={threads} OMP_NUM_THREADS={threads} TF_CPP_MIN_LOG_LEVEL=3
        {PLAN.on_its_gpu} {PAPERMILL} {input.notebook} $folder.partial/compress.ipynb --log-output \
            {PLAN.compress_options} -r run_dir $(dirname {input.record}) -r output_dir $folder.partial > {log} 2>&1 \
          || {{ echo "{wildcards.task}, compressed: $(grep . {log} | tail -n 1)  (log: {log})" >&2; exit 1; }}
        rm -rf $folder && mv $folder.partial $folder
        """


rule results:
    input:
        WHOLE,
    output:
        results=f"{PLAN.folder}/results.json",
        status=f"{PLAN.folder}/status.json",
    log:
        f"{PLAN.folder}/logs/results.log",
    params:
        runs=PLAN.runs,
        compressions=PLAN.compressions,
        config=json.dumps(PLAN.config),
    message:
        "gathering {output.results}"
    shell:
        """
        {HOLD}
        python -m bertglue.tools.book_plan {params.config:q} > {log} 2>&1 || {{ tail -n 1 {log} >&2; exit 1; }}
        """


rule page:
    input:
        notebook="notebooks/{page}.ipynb",
        results=f"{PLAN.folder}/results.json",
        status=f"{PLAN.folder}/status.json",
        sources=page_sources(),
    output:
        f"{PLAN.folder}/pages/{{page}}.ipynb",
    log:
        f"{PLAN.folder}/logs/{{page}}.log",
    message:
        "{wildcards.page}: filling the page"
    shell:
        """
        {HOLD}
        {PAPERMILL} {input.notebook} {output}.partial -p results {input.results} > {log} 2>&1 \
          || {{ echo "{wildcards.page}: $(grep . {log} | tail -n 1)  (log: {log})" >&2; exit 1; }}
        mv {output}.partial {output}
        """


# These pages show records that are part of the repository, and no run of the book.
rule recorded_page:
    input:
        notebook="notebooks/{recorded}.ipynb",
        sources=page_sources(),
    output:
        f"{PLAN.folder}/pages/{{recorded}}.ipynb",
    log:
        f"{PLAN.folder}/logs/{{recorded}}.log",
    message:
        "{wildcards.recorded}: filling the page"
    shell:
        """
        {HOLD}
        {PAPERMILL} {input.notebook} {output}.partial > {log} 2>&1 \
          || {{ echo "{wildcards.recorded}: $(grep . {log} | tail -n 1)  (log: {log})" >&2; exit 1; }}
        mv {output}.partial {output}
        """


rule build_book:
    input:
        book_sources(),
        notebooks=expand("{run}/finetune.ipynb", run=PLAN.shown_runs),
        compressions=expand("{folder}/compress.ipynb", folder=PLAN.book_compressions),
        pages=expand(f"{PLAN.folder}/pages/{{page}}.ipynb", page=[*PAGES, *RECORDED_PAGES]),
    output:
        BOOK,
    log:
        f"{PLAN.folder}/logs/book.log",
    params:
        source=f"{PLAN.folder}/book",
        profile=PLAN.profile,
    message:
        "building the book; log in {log}"
    shell:
        """
        {HOLD}
        {{ python -m bertglue.report.build_book {params.source} --profile {params.profile} \
               {input.notebooks} {input.compressions} {input.pages} \
          && jupyter-book build {params.source} --config {params.source}/_config.yml --path-output {params.source}/made \
               -W -n --keep-going --all \
          && mkdir -p book/_build && rm -rf book/_build/html && mv {params.source}/made/_build/html book/_build/html
        }} > {log} 2>&1 || {{ tail -n 20 {log} >&2; exit 1; }}
        """


# The same pages as one document, through a Chromium that is installed.
rule print_book:
    input:
        BOOK,
        "lib/bertglue/report/build_pdf.py",
        "lib/bertglue/report/build_pdf.css",
    output:
        PDF,
    log:
        f"{PLAN.folder}/logs/pdf.log",
    params:
        source=f"{PLAN.folder}/book",
    message:
        "printing {output}"
    shell:
        """
        {HOLD}
        python -m bertglue.report.build_pdf {params.source} {output} > {log} 2>&1 || {{ tail -n 1 {log} >&2; exit 1; }}
        """
