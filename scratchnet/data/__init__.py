"""Data: from the bytes of a file to the rows of a batch.

    atomic      a file that appears complete or not at all
    idx         the file format of MNIST, read without believing a word of it
    download    a file that is known by the hash of its content
    mnist       where the four files are, how they get there, what they hold
    synthetic   digits for those who have neither MNIST nor a network
    images      a photographed digit, made as MNIST was made
    batches     which examples an epoch and a step see

Nothing here knows of layers or models: arrays come out, that is all.
"""

from scratchnet.data.batches import batches, epoch_order, train_val_split
from scratchnet.data.choose import CHOICES, load_dataset
from scratchnet.data.download import DownloadError
from scratchnet.data.idx import DataFileError, MissingDataError, read_idx, write_idx
from scratchnet.data.images import digit_from_image
from scratchnet.data.mnist import load_idx_dataset, load_mnist
from scratchnet.data.synthetic import load_synthetic

__all__ = [
    "read_idx",
    "write_idx",
    "DataFileError",
    "MissingDataError",
    "load_mnist",
    "load_idx_dataset",
    "DownloadError",
    "load_synthetic",
    "load_dataset",
    "CHOICES",
    "digit_from_image",
    "train_val_split",
    "epoch_order",
    "batches",
]
