"""The live example: a small network, trained on synthetic digits while the site is built, as a page of one file.

The digits are drawn from fonts, so that no data set is needed and none is published. An existing page is kept: a second
build takes no time for it.
"""

import numpy as np
from sphinx.util import logging

SIZE, TRAIN, TEST = 28, 4000, 500


def trained(epochs):
    """The model, and its test images."""
    import scratchnet as sn

    (x, y), test = sn.load_synthetic(TRAIN, TEST)
    model = sn.Sequential(
        [
            sn.Rescale(), sn.Conv2D(8, 3), sn.ReLU(), sn.MaxPool2D(2), sn.Conv2D(16, 3), sn.ReLU(), sn.MaxPool2D(2),
            sn.Flatten(), sn.Dense(32), sn.ReLU(), sn.Dense(10),
        ],
        input_shape=(SIZE, SIZE, 1),
    )  # fmt: skip
    augment = sn.Augment(shift=2, rotate=10, zoom=0.15, shear=0.1)
    model.fit(x, y, epochs=epochs, optimizer=sn.Adam(2e-3), augment=augment, verbose=False)
    return model, test


def write(app, error):
    """Write live/page.html into the site."""
    path = app.outdir / "live" / "page.html"
    if error or app.builder.format != "html" or path.exists():
        return
    from scratchnet.page.export import save_html
    from scratchnet.page.tray import TestImages

    model, (x, y) = trained(app.config.live_epochs)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_html(model, path, TestImages(x[..., np.newaxis], np.asarray(y, np.int64), "synthetic digits"))
    accuracy = model.evaluate(x, y)["accuracy"]
    logging.getLogger(__name__).info(f"live/page.html: {accuracy:.1%} of {len(x)} synthetic test images")


def setup(app):
    """Called by Sphinx."""
    app.add_config_value("live_epochs", 5, "", [int])
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
