"""Which settings train a network best? Many trials, most of them short, on one study that several processes share.

    space      what is tried: the numbers that a recipe leaves open, and how far each may go from the recipe's own
    study      the trials in a file that survives every process; which settings come next (Optuna decides)
    trials     one trial: a training that is broken off when it falls behind
    results    which trial was best, which others were as good, what mattered; the files and the page
    lock       a lock between processes that goes when its holder goes

A search spends most of its time on settings that are no good, so it should notice early. *Successive halving*
(Jamieson, Talwalkar 2016, arXiv 1502.07943; without waiting for others: Li et al. 2018, arXiv 1810.05934) lets all
trials train for one epoch, the best third for three, the best third of these for nine. And settings are not drawn
blindly: a *Parzen estimator* (Bergstra et al. 2011) looks at which values the good trials have and the bad ones have
not, and proposes such values.

Accuracies are those of the validation set. The test set is never read: the best of a hundred trials on it would be
the luckiest.
"""

from scratchnet.search.results import Record, as_good, importances, ranking, records, write_results
from scratchnet.search.space import SEARCHED, Choice, Range, as_arguments, own_values, space, train_options
from scratchnet.search.study import Search, is_begun
from scratchnet.search.trials import run_trials

__all__ = [
    "SEARCHED", "Range", "Choice", "space", "own_values", "train_options", "as_arguments", "Search", "is_begun",
    "run_trials", "Record", "records", "ranking", "as_good", "importances", "write_results",
]  # fmt: skip
