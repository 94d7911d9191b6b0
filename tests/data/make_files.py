"""Make files as users keep them: a spec, a recording, an exported program and a checkpoint.

Run once with each version whose files have to be read for good, from a folder that has its name:

    python make_files.py FOLDER
"""

import sys
from pathlib import Path

from IPython.testing.globalipapp import start_ipython

CELLS = [
    "%load_ext roleml_nb",
    "%rml start --engines 0 --seed 3",
    "from roleml_nb.workload import digits, digits_test, logistic_regression",
    "%rml spawn server client{1..2}\n"
    "%rml assign client* trainer=EpochTrainer --element model=logistic_regression(64, 10) "
    "--element dataset=digits(part=i, parts=64)\n"
    "%rml assign server evaluator=ModelMaintainer --element model=logistic_regression(64, 10) "
    "--element dataset_test=digits_test()\n"
    "%rml assign server aggregator=FedAvgAggregator coordinator=FederatedCoordinator\n"
    "%rml relate server trainer=client*/trainer",
    "%rml call server/coordinator run num_rounds=2",
]


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    shell = start_ipython()
    for cell in CELLS:
        shell.run_cell(cell, store_history=True).raise_error()
    bed = shell.user_ns["bed"]
    bed.save_spec(folder / "deployment.yml")
    bed.record(folder / "run.parquet")
    bed.save(folder / "run.checkpoint")
    shell.run_line_magic("rml", f"export {folder / 'program.py'}")
    print(bed.trace.metrics.to_pandas().query("metric == 'accuracy'")[["step", "value"]])
    bed.stop()


main()
