"""A model in a file: written as data only, and read from untrusted sources. Read the files in this order.

container       the safetensors format: arrays by name, and a reader that checks every number
model_file      the model file: a container with a description of the model and a checksum
architecture    from the description to unbuilt layers
file_kinds      which other format a file has, and which library reads it
weights         all arrays of a model as one list, in the order of Keras
"""

from scratchnet.saving.container import ModelFileError
from scratchnet.saving.model_file import as_model_file_error, checksum, compare, fill, read_file, write_file

__all__ = [
    "ModelFileError",
    "as_model_file_error",
    "checksum",
    "compare",
    "fill",
    "read_file",
    "write_file",
]
