"""Data: from the bytes of a file to the rows of a batch.

    atomic      a file that appears complete or not at all
    idx         the file format of MNIST, read without believing a word of it
    download    a file that is known by the hash of its content
    locate      which of the files in a folder they are
    folder      four such files and the names of the classes: a data set
    mnist       where MNIST's four files are, how they get there, what they hold
    fashion     the same for Fashion-MNIST
    synthetic   digits for those who have neither MNIST nor a network
    pictures    a picture of any kind, as bytes
    pieces      which pixels touch each other
    sheet       where in a picture the paper is
    ink         what stands out from the paper
    strokes     which ink makes a digit
    images      photographed digits, made as MNIST was made
    labelled    a folder of labelled pictures becomes a data set
    choose      which data set a script works on
    augment     more examples from the ones there are
    batches     which examples an epoch and a step see

Nothing here knows of layers or models: arrays come out, that is all.
"""

from scratchnet.data.augment import Augment
from scratchnet.data.batches import batches, epoch_order, train_val_split
from scratchnet.data.choose import CHOICES, class_names, load_dataset, only_place
from scratchnet.data.download import DownloadError
from scratchnet.data.fashion import load_fashion_mnist
from scratchnet.data.folder import count_classes, folder_then, load_idx_dataset, read_class_names, write_idx_dataset
from scratchnet.data.idx import DataFileError, MissingDataError, read_idx, write_idx
from scratchnet.data.images import digit_from_image, digits_from_image
from scratchnet.data.labelled import LabelledImages, load_labelled_images
from scratchnet.data.mnist import load_mnist
from scratchnet.data.pictures import whole_image
from scratchnet.data.synthetic import load_synthetic

__all__ = [
    "read_idx",
    "write_idx",
    "DataFileError",
    "MissingDataError",
    "load_mnist",
    "load_fashion_mnist",
    "load_idx_dataset",
    "write_idx_dataset",
    "read_class_names",
    "count_classes",
    "DownloadError",
    "load_synthetic",
    "load_dataset",
    "class_names",
    "folder_then",
    "only_place",
    "CHOICES",
    "digit_from_image",
    "digits_from_image",
    "whole_image",
    "load_labelled_images",
    "LabelledImages",
    "Augment",
    "train_val_split",
    "epoch_order",
    "batches",
]
