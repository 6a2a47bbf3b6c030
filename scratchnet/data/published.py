"""A published data set: four IDX files that everyone has the same bytes of, identified by their hashes.

MNIST and Fashion-MNIST differ in their hashes, their mirrors and their folders. What is done with these is the same:
files that are missing are fetched, one by one, and the content of a folder is compared with the hashes. The hash is
that of the unpacked file (see `download`), so the packing does not matter.

Most folders that are not MNIST differ in their labels already: 10 KB are hashed, and the 47 MB of images are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from scratchnet.data.folder import BY_HAND, FILES, Dataset, find_file
from scratchnet.data.idx import idx_sha256

PROXIES = "HTTPS_PROXY and REQUESTS_CA_BUNDLE configure a proxy and its certificates."


def fetch_missing(folder: Path, sha256: Mapping[str, str], mirrors: Sequence[str], advice: str = PROXIES) -> None:
    """Fetch those of the four files that `folder` does not have.

    sha256: file name -> hash of the unpacked content. advice: the end of the message of the DownloadError that is
    raised if no mirror has a file, or the folder cannot be written.
    """
    for name, expected in sha256.items():
        if find_file(folder, name) is None:
            from scratchnet.data.download import fetch_idx  # here, for it imports http and ssl

            by_hand = BY_HAND.format(names=", ".join(FILES), folder=folder)
            fetch_idx(name, expected, folder, mirrors, f"{by_hand} {advice}")


def foreign_files(dataset: Dataset, sha256: Mapping[str, str]) -> Iterator[str]:
    """The names of the files whose content has another hash, the smallest first, each hashed when it is asked for.

    >>> part = np.zeros((3, 28, 28), np.uint8), np.zeros(3, np.uint8)
    >>> next(foreign_files((part, part), dict.fromkeys(FILES, "")))
    'train-labels-idx1-ubyte'
    """
    arrays = dict(zip(FILES, (array for pair in dataset for array in pair), strict=True))
    for name in sorted(FILES, key=lambda name: arrays[name].nbytes):
        if idx_sha256(arrays[name]) != sha256[name]:
            yield name
