"""The doctor: what is wrong with a training run, in words.

examine     before training: is everything connected? Checks of a minute that may save an hour of training
findings    after training: what the history, the layers' health and the answers show, and what to do

for check in doctor.examine(model, x, y):
    print(check)                            # print_checks does so, and counts those that failed
"""

from scratchnet.doctor.after import findings, line
from scratchnet.doctor.before import Check, examine, print_checks

__all__ = ["Check", "examine", "print_checks", "findings", "line"]
