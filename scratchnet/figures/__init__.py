"""Figures of a run: one picture per question, each with a table of its numbers.

    samples        the images of each class, and their number
    augmented      the effect of augmentation on the images
    curves         loss and accuracy per epoch, and the best epoch
    confusion      which classes are mistaken for which
    answers        predictions and their confidence, for ordinary images and for those with the largest loss
    calibration    is the confidence equal to the accuracy
    robustness     accuracy on changed test images
    filters        the convolutions' weights before and after training
    feature_maps   the outputs of all layers for one image
    health         do all layers still learn
    search         many trials: their course, early stopping, good values, important settings

Every function takes arrays or a model and returns a `Picture`: a figure, a title that states the result
("3 is most often taken for 5, 7 times"), a caption that explains how to read it, and the numbers that were drawn.
matplotlib is imported when the first picture is drawn. No display is needed, and no global state is changed.

The palettes are distinguishable with any type of colour vision (Okabe and Ito 2008, viridis). Information given by a
colour is also given by a word or a marker.
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
