"""What kind of file was given instead of a model file, by its first bytes, and which library reads it.

File name endings are unreliable. The first bytes of a file identify its format. They are only compared here; nothing
is unpacked. A zip archive begins with the name of its first member, by which Keras, PyTorch
and NumPy archives differ.
"""

from __future__ import annotations

KERAS = "model = sn.load_keras(path)"
TORCH = "state = torch.load(path, weights_only=True)"
HEAD = 512  # bytes that are looked at

BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"\x89HDF\r\n\x1a\n", f"an HDF5 file, as Keras writes with the ending .h5. Read it with {KERAS}"),
    (b"\x93NUMPY", "an array of NumPy. np.load(path) reads it"),
    (b"\x1f\x8b", "compressed with gzip. Unpack it first: gunzip"),
    (b"GGUF", "a GGUF file, a language model of llama.cpp"),
    (b"<!DOCTYPE", "a web page, perhaps of a download that needed a login"),
    (b"<html", "a web page, perhaps of a download that needed a login"),
    (b"version https://git-lfs", "a placeholder of Git LFS. Get the file itself: git lfs pull"),
)
MEMBERS: tuple[tuple[bytes, str], ...] = (
    (b"metadata.json", f"a Keras model (.keras). Read it with {KERAS}"),
    (b"config.json", f"a Keras model (.keras). Read it with {KERAS}"),
    (b"data.pkl", f"a PyTorch file (.pt, .pth). PyTorch reads it: {TORCH}"),
    (b".npy", "arrays of NumPy (.npz). np.load(path) reads them, and model.set_weights takes a list of them"),
)
ONNX_FIELDS = b"\x12\x1a\x22\x2a\x32\x3a\x42"  # what follows the version in a ModelProto: producer_name, ..., graph


def kind_of(head: bytes) -> str:
    """What a file that begins with these bytes is, and what reads it; empty if it may be a safetensors file.

    >>> kind_of(b"\\x93NUMPY\\x01\\x00v\\x00{'descr': ")
    'an array of NumPy. np.load(path) reads it'
    """
    if head[8:9] == b"{":  # behind the length of a safetensors header
        return ""
    for beginning, words in BEGINNINGS:
        if head.startswith(beginning):
            return words
    if head.startswith(b"PK\x03\x04") and len(head) > 30:
        member = head[30 : 30 + int.from_bytes(head[26:28], "little")]
        return next((words for name, words in MEMBERS if member.endswith(name)), "a zip archive. Unpack it first")
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return f"a pickle, which can run code when it is read; it is not read here. If PyTorch wrote it: {TORCH}"
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model. TensorFlow reads it: tf.lite.Interpreter(path)"
    if head[:1] == b"\x08" and head[1:2] < b"\x20" and head[2:3] and head[2:3] in ONNX_FIELDS:
        return "an ONNX model. scratchnet reads it: scratchnet.load_onnx(path)"
    return ""
