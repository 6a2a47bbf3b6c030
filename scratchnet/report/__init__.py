"""The files of a run, in one folder: writing and reading them.

metrics.json   results: accuracy with its interval, every class, every confusion, the environment
config.json    settings
figures/       pictures (PNG), each with its numbers (CSV)
report.html    everything on one page, as answers to questions: can I trust the numbers, did it learn, where
               does it fail, why, and how fast was it

folder   a new folder for each run          latest    the run that began last
run      the numbers, and the files
page     the parts of the page              markup    its HTML elements
search   the page of a search
"""

from scratchnet.report.folder import check_absent, check_no_run, new_folder, run_folder
from scratchnet.report.latest import find_model, find_run, mark_latest
from scratchnet.report.run import read_history, redraw, trained_on, write_json, write_run
from scratchnet.report.search import luck, write_search

__all__ = [
    "write_run", "redraw", "read_history", "trained_on", "write_json", "write_search", "luck", "new_folder",
    "run_folder", "check_no_run", "check_absent", "mark_latest", "find_run", "find_model",
]  # fmt: skip
