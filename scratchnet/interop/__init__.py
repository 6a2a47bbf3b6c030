"""Models of other programs, and for them. Read the files in this order.

hdf5            the files of Keras' weights, read from untrusted sources (hdf5_source, hdf5_values), and hdf5_writer
keras           a model of Keras in our terms: keras_file, keras_structure, keras_weights, keras_layers
keras_save      a model of ours in Keras' terms (keras_graph)
"""

from scratchnet.interop.keras import load_keras, load_keras_weights
from scratchnet.interop.keras_save import save_keras

__all__ = ["load_keras", "load_keras_weights", "save_keras"]
