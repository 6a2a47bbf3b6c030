"""Models from and for other programs. Each file is about one format; none of the formats' libraries is needed to read.

protobuf, onnx_file, onnx_values, onnx_operators, onnx_import    reading ONNX: bytes, graph, values, operators, model
onnx_export                                                      writing ONNX
"""
