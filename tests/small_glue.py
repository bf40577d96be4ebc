"""A small GLUE folder, for tests that run the real thing: MRPC, with HTML in its texts, and RTE."""

import random
from pathlib import Path

HOSTILE = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1"> & so on'


def write_glue(folder: Path) -> None:
    """Write train and dev of both tasks."""
    rng = random.Random(0)
    words = ["anna", "sold", "the", "violin", "to", "peter", "on", "monday"]
    for name, header in (
        ("MRPC", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"),
        ("RTE", "index\tsentence1\tsentence2\tlabel"),
    ):
        (folder / name).mkdir(parents=True)
        for split, rows in (("train", 64), ("dev", 24)):
            lines = [header]
            for row in range(rows):
                first, second = (" ".join(rng.sample(words, 5)) for _ in range(2))
                label = rng.randrange(2)
                if name == "MRPC":
                    lines.append(f"{label}\t{row}\t{row}\t{first} {HOSTILE}\t{second}")
                else:
                    lines.append(f"{row}\t{first}\t{second}\t{('entailment', 'not_entailment')[label]}")
            (folder / name / f"{split}.tsv").write_text("\n".join(lines) + "\n")
