"""Models from and for other programs. Each part is about one format; only writing ONNX needs a package of its own.

hdf5, hdf5_source, hdf5_values    the weights of Keras, read from untrusted files     hdf5_writer
keras            load_keras: keras_file, keras_structure, keras_weights, keras_layers
keras_save       save_keras: keras_graph
protobuf, onnx_file               from the bytes of an untrusted ONNX file to a graph of plain data
onnx_values      what flows through that graph, as layers see it
onnx_moves, onnx_operators, onnx_matrices, onnx_windows, onnx_borders        operators as layers
onnx_import      load_onnx                      onnx_export, onnx_writers    save_onnx
walk             what all exports ask of a model
torch_import     load_torch                     torch_export                 a program for PyTorch
numpy_export     one file for NumPy             c_export, c_functions        one file of C99
"""
