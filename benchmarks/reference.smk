# The rules of the reference run (`make reference GLUE_DIR=...`): one run for each unit of params/reference.yaml, whose
# record is kept in the repository. A unit that has a record is not run again, whatever became of its folder; a run that
# another one begins with is made again where it is not there. Nothing is made again for a file's time: all is `ancient`.
from bertglue.environment import ask_for_huge_pages
from bertglue.parameters import read_yaml
from bertglue.tasks import TASKS
from bertglue.tools.lock import HOLD
from bertglue.tools.reference_explanations import EXPLAINED, explanations_of
from bertglue.tools.reference_plan import CHOSEN_FILES, PEERS_READY, PLAN_FILE, RUNS, get_unit, needs, read_units, record_of, selecting_units

ask_for_huge_pages()
GLUE_DIR = config["glue_dir"]
ASKED = [get_unit(name).name for name in (config.get("units") or "").split() or read_units()]
PROFILE = read_yaml(PLAN_FILE)["profile"]
KEPT = str(record_of("{unit}"))
ORDER = list(read_units())
EXPLAINED_TASKS = {task: explanations_of(task) for task in TASKS if EXPLAINED.format(task=task) in ASKED}


wildcard_constraints:
    unit="|".join(ORDER),
    task="[a-z0-9]+",


localrules:
    reference,
    choose,


rule reference:
    input:
        [str(record_of(unit)) for unit in ASKED if not record_of(unit).exists()],
        [str(path) for task, path in EXPLAINED_TASKS.items() if not path.exists()],
    run:
        print(f"kept: {', '.join(ASKED)}" if config.get("units") else "every unit of the plan is kept")


# What a unit writes lies in a partial folder until all of it is there; a killed run resumes from its checkpoint there.
RUN_UNIT = """
        {HOLD}
        folder=$(dirname {output})
        mkdir -p $folder.partial
        export TF_NUM_INTRAOP_THREADS={threads} OMP_NUM_THREADS={threads} TF_CPP_MIN_LOG_LEVEL=3
        {{ command=$(python -m bertglue.tools.reference_plan command {wildcards.unit} $folder.partial {GLUE_DIR:q}) \
          && eval "$command"; }} \
          > {log} 2>&1 || {{ echo "{wildcards.unit}: $(grep . {log} | tail -n 1)  (log: {log})" >&2; exit 1; }}
        rm -rf $folder && mv $folder.partial $folder
        """


rule unit:
    input:
        lambda wildcards: [ancient(path) for path in needs(get_unit(wildcards.unit))],
    output:
        f"{RUNS}/{{unit}}/record.json",
    log:
        f"{RUNS}/logs/{{unit}}.log",
    threads: max(1, workflow.cores // int(config["jobs"]))
    resources:
        run=1,  # JOBS bounds them
    priority: lambda wildcards: len(ORDER) - ORDER.index(wildcards.unit)
    message:
        "{wildcards.unit}; log in {log}"
    shell:
        RUN_UNIT


use rule unit as compression with:
    output:
        f"{RUNS}/{{unit}}/compression.json",


# PyTorch and transformers, for the units that Hugging Face's Trainer runs; the make of the checkout installs them.
rule peers:
    output:
        PEERS_READY,
    message:
        "installing PyTorch and transformers (1 GB)"
    shell:
        "{HOLD}; make --no-print-directory {output}"


rule keep:
    input:
        lambda wildcards: ancient(get_unit(wildcards.unit).finished),
    output:
        KEPT,
    priority: 1000
    message:
        "{wildcards.unit}: kept"
    shell:
        "{HOLD}; python -m bertglue.tools.reference_plan keep {wildcards.unit} > /dev/null"


rule explain:
    input:
        ancient(f"{RUNS}/{EXPLAINED}/record.json"),
    output:
        explanations_of("{task}"),
    priority: 1000
    message:
        "{wildcards.task}: attention maps and token attributions"
    shell:
        "{HOLD}; python -m bertglue.tools.reference_explanations {wildcards.task} > /dev/null"


rule choose:
    input:
        lambda wildcards: [ancient(str(record_of(unit.name))) for unit in selecting_units(wildcards.task)],
    output:
        CHOSEN_FILES.format(profile=PROFILE, task="{task}"),
    message:
        "{wildcards.task}: learning rate and epochs are chosen"
    shell:
        "{HOLD}; python -m bertglue.tools.reference_plan choose {wildcards.task} > /dev/null"
