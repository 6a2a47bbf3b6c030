"""The package as a whole: what importing it costs, who may import whom, and that every example runs."""

import ast
import doctest
import importlib
import inspect
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import scratchnet as sn

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "scratchnet"
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in FILES]
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
every_module = pytest.mark.parametrize("name", MODULES)

# Who may import whom. A room that is not here may not exist: add it, and say what it knows.
ARRAYS_ONLY: set[str] = set()
MAY_IMPORT = {
    "keywords": ARRAYS_ONLY,
    "data": ARRAYS_ONLY,
    "initializers": ARRAYS_ONLY,
    "losses": {"keywords"},
    "clipping": ARRAYS_ONLY,
    "optimizers": {"clipping", "keywords"},
    "schedules": ARRAYS_ONLY,
    "metrics": ARRAYS_ONLY,
    "randomness": ARRAYS_ONLY,
    "labels": ARRAYS_ONLY,
    "html": ARRAYS_ONLY,
    "answers": {"html", "metrics"},
    "summary": {"html", "process"},
    "team": ARRAYS_ONLY,
    "layers": {"initializers", "keywords"},
    "gradcheck": {"layers", "losses", "process"},
    "saving": {"data", "initializers", "layers"},
    "engine": {"inputs", "layers", "losses", "team"},
    "compiled": {"data", "engine", "layers", "losses", "optimizers", "randomness", "team", "world"},
    "engines": {"compiled", "engine"},
    "process": ARRAYS_ONLY,
    "world": {"process"},
    "distributed": {"compiled", "process", "team", "world"},
    "inputs": {"data", "layers"},
    "divergence": {"layers"},
    "callbacks": {"data", "html", "layers", "process"},
    "checkpoint": {"callbacks", "divergence", "saving"},
    "arguments": {"callbacks", "inputs", "labels", "layers", "losses"},
    "example_weights": {"losses"},
    "health": {"callbacks", "data", "html", "engine", "gradcheck", "layers", "randomness"},
    "doctor": {"divergence", "gradcheck", "layers", "losses", "optimizers", "process", "run", "training"},
    "lr_finder": {"arguments", "data", "divergence", "losses", "optimizers", "training"},
    "transfer": {"layers", "saving"},
    "building": {"inputs", "layers"},
    "kept_outputs": {"world"},
    "run": {"checkpoint", "html", "kept_outputs", "optimizers", "transfer"},
    "training": {
        "arguments", "callbacks", "checkpoint", "data", "divergence", "engine", "example_weights", "inputs",
        "kept_outputs", "losses", "optimizers", "process", "randomness", "run", "world",
    },
    "model": {
        "building", "callbacks", "engine", "engines", "inputs", "keywords", "layers", "losses", "optimizers",
        "randomness", "run", "saving", "summary", "training", "transfer",
    },
    "interop": {"data", "keywords", "layers", "model", "saving"},
    "page": {
        "callbacks", "data", "gradcheck", "health", "layers", "losses", "metrics", "model", "optimizers", "randomness",
        "schedules", "team", "training", "transfer",
    },
    "examples": ARRAYS_ONLY,
    "learn": {"data", "layers", "losses", "optimizers", "team"},
    "classifier": {
        "callbacks", "examples", "keywords", "layers", "losses", "model", "optimizers", "schedules", "zoo",
    },
    "robustness": {"data", "randomness"},
    "zoo": {"callbacks", "data", "layers", "losses", "model", "optimizers", "schedules", "variants"},
    "variants": {"layers"},
    "ensemble": {"layers"},
    "out_of_distribution": ARRAYS_ONLY,
    "comparison": {"data", "metrics", "model"},
    "figures": {"data", "layers", "metrics", "randomness"},
    "search": {"callbacks", "data", "divergence", "layers", "metrics", "optimizers", "variants"},
    "report": {
        "data", "figures", "metrics", "out_of_distribution", "process", "robustness", "summary", "team", "training",
        "transfer",
    },
    "commands": {
        "checkpoint", "compiled", "data", "distributed", "divergence", "engines", "figures", "interop", "layers",
        "learn", "losses", "metrics", "model", "optimizers", "page", "process", "report", "saving", "schedules", "team",
        "transfer", "world", "zoo",
    },
    "__main__": {"commands"},
}  # fmt: skip


def room(name: str) -> str:
    """scratchnet.layers.conv -> layers."""
    return name.split(".")[1]


def imports_of(path: Path) -> set[str]:
    """Full names of the modules of ours that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written with their full names"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & set(MODULES)) or {node.module}
    return {name for name in found if name.startswith("scratchnet.")}


# importing


def test_importing_the_package_imports_neither_numba_nor_matplotlib():
    program = "import sys, scratchnet; sys.exit(bool({'numba', 'llvmlite', 'matplotlib'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", program], timeout=60, cwd=ROOT, check=True)


def test_the_textbook_works_where_there_is_no_numba():
    program = """
import sys
sys.modules["numba"] = None
import numpy as np, scratchnet as sn
model = sn.Sequential([sn.Dense(2)], (3,), engine="numpy")
model.fit(np.zeros((4, 3)), np.zeros(4, int), verbose=False)
"""
    subprocess.run([sys.executable, "-c", program], timeout=60, cwd=ROOT, check=True)


@pytest.mark.parametrize(("name", "path"), list(zip(MODULES, FILES, strict=True))[1:])  # the first is __init__.py
def test_imports_point_one_way(name, path):
    allowed = {room(name), *MAY_IMPORT[room(name)]}
    assert {room(imported) for imported in imports_of(path)} <= allowed


def test_there_are_no_cycles():
    files = {name: imports_of(path) - {name} for name, path in zip(MODULES, FILES, strict=True)}
    for arrows in (files, dict(MAY_IMPORT)):
        while arrows:
            free = [name for name, needs in arrows.items() if not needs & arrows.keys()]
            assert free, f"these import each other: {sorted(arrows)}"
            for name in free:
                del arrows[name]


# what a reader meets


@every_file
def test_a_file_can_be_read_in_one_sitting(path):
    assert len(path.read_text().splitlines()) <= 300


@every_file
def test_every_file_says_what_it_is_about(path):
    assert len(ast.get_docstring(ast.parse(path.read_text())) or "") > 40


@every_file
def test_public_functions_and_classes_have_docstrings_and_fit_on_a_screen(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{node.name} does not fit on a screen"
    if path.parent.name == "compiled":
        return  # kernels' small helpers are explained where they stand
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_every_public_name_exists_once_and_is_explained():
    assert len(sn.__all__) == len(set(sn.__all__))
    for name in sn.__all__:
        assert inspect.getdoc(getattr(sn, name)), name
        assert getattr(sn, name).__doc__, f"{name} has only an inherited docstring"


def test_a_misspelt_public_name_raises():
    with pytest.raises(AttributeError, match="Conv2d"):
        _ = sn.Conv2d


@every_module
def test_the_examples_in_the_docstrings_run(name, tmp_path, monkeypatch):
    if name == "scratchnet.data.mnist" and not os.environ.get("SCRATCHNET_DATA"):
        pytest.skip("the example shows the real MNIST, and nothing is downloaded in a test")
    if name in ("scratchnet.interop.onnx_export", "scratchnet.interop.onnx_import"):
        pytest.importorskip("onnx")
    if name.startswith("scratchnet.page.server"):
        pytest.importorskip("uvicorn")
        pytest.importorskip("starlette")
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    names = names_in_examples()
    if hasattr(module, "EXERCISE"):  # the example in a stub shows what the textbook gives
        names |= {module.EXERCISE.function: module.EXERCISE.textbook}
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags)
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, name, extraglobs=names):
        report: list[str] = []
        runner.run(example, out=report.append)
        assert not report, "".join(report)


def names_in_examples():
    """What the docstrings take for granted: NumPy, the public names, images, labels and a model."""
    rng = np.random.default_rng(0)
    model = sn.Sequential([sn.Rescale(), sn.Flatten(), sn.Dense(10)], input_shape=(28, 28, 1), engine="numpy")
    public = {name: getattr(sn, name) for name in sn.__all__}
    images, labels = 255 * rng.random((8, 28, 28)), np.arange(8)
    return {**public, "np": np, "sn": sn, "model": model, "x": images, "y": labels}


# what must not be there


@every_file
def test_nothing_in_a_file_can_be_executed(path):
    # Numba's own cache is made of pickles; compiled/jit reads them behind a checksum, from the user's cache folder.
    forbidden = {"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "importlib", "runpy"}
    if path.relative_to(PACKAGE) == Path("compiled/jit/cache.py"):
        forbidden -= {"pickle"}
    if path.relative_to(PACKAGE) == Path("learn/child.py"):
        forbidden -= {"runpy"}  # for the learner's own file, in a process of its own
    if path.parent.name == "commands":
        forbidden -= {"importlib"}  # for a program, by its name in a table; and for the versions of libraries
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [getattr(node, "module", ""), *(alias.name for alias in node.names)]
            assert not {name.split(".")[0] for name in names} & forbidden
        if isinstance(node, ast.Call):
            assert getattr(node.func, "id", "") not in {"eval", "exec", "compile", "__import__"}, f"line {node.lineno}"
            assert not any(word.arg == "allow_pickle" for word in node.keywords), f"line {node.lineno}"


@every_file
def test_random_numbers_come_from_a_generator_that_was_passed_in(path):
    allowed = {"Generator", "PCG64", "SeedSequence", "default_rng"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("np.random", "numpy.random"):
            assert node.attr in allowed, f"line {node.lineno}: np.random.{node.attr}"
        if isinstance(node, ast.Import):
            assert "random" not in {alias.name for alias in node.names}


@every_file
def test_every_error_has_one_message_and_not_a_tuple_of_pieces(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            assert not any(isinstance(argument, ast.Tuple) for argument in node.exc.args), f"line {node.lineno}"
            if ast.unparse(node.exc.func).endswith("Error"):
                assert len(node.exc.args) <= 1, f"line {node.lineno}"


def test_type_hints_are_for_others_too():
    assert (PACKAGE / "py.typed").exists()


def test_the_version_is_in_one_place():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"] and "version" not in project["project"]
    assert ROOT / project["tool"]["hatch"]["version"]["path"] == PACKAGE / "__init__.py"
    assert f'\n__version__ = "{sn.__version__}"\n' in (PACKAGE / "__init__.py").read_text()
