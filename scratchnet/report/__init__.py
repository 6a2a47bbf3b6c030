"""What a run leaves behind, in one folder, and how it is read again.

    metrics.json   what came out: accuracy with its interval, every class, every confusion, the environment
    config.json    what went in
    figures/       pictures (PNG), each with its numbers (CSV)
    report.html    all of it on one page, in the order in which one would ask: can I trust the numbers, did it
                   learn, where does it fail, why, and how fast was it

    folder   a new one for each run             latest    the run that began last
    run      the numbers, and the files
    page     the page's parts                   markup    its vocabulary, as HTML
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
