"""The doctor: what is wrong with a training, in words.

    examine     before: is everything connected? A minute of checks that would have saved an hour of training
    findings    after: what the history, the layers' health and the answers say, and what to do about it

    for check in doctor.examine(model, x, y):
        print(check)                            # print_checks does so, and counts those that failed
"""

from scratchnet.doctor.after import findings, line
from scratchnet.doctor.before import Check, examine, print_checks

__all__ = ["Check", "examine", "print_checks", "findings", "line"]
