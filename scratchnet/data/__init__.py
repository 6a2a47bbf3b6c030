"""Data: from the bytes of a file to the rows of a batch.

    atomic      a file that appears complete or not at all
    idx         the file format of MNIST, parsed as untrusted input
    download    a file identified by the hash of its content
    locate      which files of a folder are the four IDX files
    folder      a data set: four IDX files and the class names
    published   a data set that is identified by its hashes: what is missing is fetched, and what is there compared
    mnist       where MNIST's four files are, how they are fetched, what they hold
    fashion     the same for Fashion-MNIST
    synthetic   digits drawn from fonts, for machines without MNIST and without a network
    pictures    any image source -> an 8-bit image
    pieces      connected components
    sheet       where in a picture the paper is
    ink         foreground from background
    strokes     which pieces of ink form a digit
    images      photographed digits, preprocessed as MNIST was
    drawing     strokes of a pen, drawn as MNIST's digits were
    labelled    a folder of labelled pictures -> a data set
    mapped      images that stay in their file      stream      images in their order, some at a time
    npz         an archive of NumPy arrays -> a data set
    table       a CSV file, an image in each line -> a data set
    choose      which data set a script uses
    augment     data augmentation
    batches     which examples an epoch and a step see

Nothing here knows of layers or models: the output is arrays.
"""

from scratchnet.data.augment import Augment
from scratchnet.data.batches import batches, epoch_order, train_val_split
from scratchnet.data.choose import CHOICES, class_names, load_dataset, only_place
from scratchnet.data.drawing import digit_from_strokes
from scratchnet.data.fashion import load_fashion_mnist
from scratchnet.data.folder import (
    count_classes,
    counts_from_1,
    folder_then,
    load_idx_dataset,
    read_class_names,
    read_folder,
    upright,
    write_idx_dataset,
)
from scratchnet.data.idx import DataFileError, DownloadError, MissingDataError, read_idx, write_idx
from scratchnet.data.images import digit_from_image, digits_from_image
from scratchnet.data.labelled import LabelledImages, load_labelled_images
from scratchnet.data.mapped import MappedImages, take
from scratchnet.data.mnist import load_mnist
from scratchnet.data.npz import load_npz_dataset
from scratchnet.data.pictures import whole_image
from scratchnet.data.synthetic import load_synthetic
from scratchnet.data.table import load_csv_dataset

__all__ = [
    "read_idx",
    "write_idx",
    "DataFileError",
    "MissingDataError",
    "load_mnist",
    "load_fashion_mnist",
    "load_idx_dataset",
    "write_idx_dataset",
    "read_folder",
    "upright",
    "counts_from_1",
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
    "digit_from_strokes",
    "whole_image",
    "load_labelled_images",
    "MappedImages",
    "take",
    "LabelledImages",
    "load_npz_dataset",
    "load_csv_dataset",
    "Augment",
    "train_val_split",
    "epoch_order",
    "batches",
]
