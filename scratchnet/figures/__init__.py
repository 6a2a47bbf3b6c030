"""Figures: what a run looks like, one picture per question, each with its numbers as a table beside it.

    samples        what is in the data, and how much of it
    augmented      what augmentation makes of it
    curves         did it learn, and when was it best
    confusion      what is taken for what
    answers        how sure it is, on ordinary images and on those that went worst
    calibration    is it right as often as it believes
    robustness     how far may a test image be changed
    filters        what training made of the convolutions' weights
    feature_maps   one image on its way through all layers
    health         do all layers still learn
    search         many trials: how it went, who was stopped, which values are good, what sets the best apart

Every function takes arrays or a model and returns a `Picture`: a figure whose title says what is to be seen in
it ("3 is most often taken for 5, 7 times"), a caption that says how to read it, and the numbers that were drawn.
matplotlib is imported when the first one is drawn; nothing needs a display, and no global state is touched.

Colours come from palettes that people with any colour vision can tell apart (Okabe and Ito 2008, viridis), and
what a colour says is said by a word or a sign too.
"""

from scratchnet.figures.answers import predictions, top_losses
from scratchnet.figures.augmented import augmented
from scratchnet.figures.calibration import calibration_diagram
from scratchnet.figures.confusion import confusion_picture
from scratchnet.figures.curves import learning_curves
from scratchnet.figures.feature_maps import feature_maps
from scratchnet.figures.filters import filters
from scratchnet.figures.health import health, read_health
from scratchnet.figures.picture import Picture, class_labels
from scratchnet.figures.robustness import robustness
from scratchnet.figures.samples import samples
from scratchnet.figures.search import halving, importance, search_history, slices

__all__ = [
    "Picture",
    "class_labels",
    "samples",
    "augmented",
    "learning_curves",
    "confusion_picture",
    "predictions",
    "top_losses",
    "calibration_diagram",
    "robustness",
    "filters",
    "feature_maps",
    "health",
    "read_health",
    "search_history",
    "halving",
    "slices",
    "importance",
]
