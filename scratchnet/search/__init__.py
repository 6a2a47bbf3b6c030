"""Which settings train a network best? Many trials, most of them short, in one study shared by several processes.

    space      the search space: the settings that vary, and their ranges around the recipe's values
    study      the trials, in a file that survives every process; the next settings (Optuna decides)
    places     where the trials are kept: in a folder, or where several machines reach them
    trials     one trial: a training run that is stopped early if its accuracy is low
    results    the best trial, the trials that are as good, the important settings; the files and the page
    lock       a lock between processes that is released when its holder ends

A search spends most of its time on bad settings, so it should detect them early. *Successive halving*
(Jamieson, Talwalkar 2016, arXiv 1502.07943; asynchronous: Li et al. 2018, arXiv 1810.05934) trains all
trials for one epoch, the best third for three, the best third of these for nine. Settings are not drawn
uniformly: a *Parzen estimator* (Bergstra et al. 2011) proposes values that are frequent in good trials and rare in
bad ones.

Accuracies are those of the validation set. The test set is never read: the best of a hundred trials on it would be
partly selected by luck.
"""

from scratchnet.search.results import Record, as_good, importances, ranking, records, write_results
from scratchnet.search.space import SEARCHED, Choice, Range, as_arguments, own_values, space, train_options
from scratchnet.search.study import Search, is_begun
from scratchnet.search.trials import run_trials

__all__ = [
    "SEARCHED", "Range", "Choice", "space", "own_values", "train_options", "as_arguments", "Search", "is_begun",
    "run_trials", "Record", "records", "ranking", "as_good", "importances", "write_results",
]  # fmt: skip
