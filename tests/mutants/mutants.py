"""Ways to break the library that a promise forbids, each with the test that notices.

A test that has never failed proves little. Every entry takes one line of the package away, or bends it the way
a tired hand would, and names the test that must then fail. When the line changes, change it here too.
"""

from typing import NamedTuple


class Mutant(NamedTuple):
    """What the mutation forgets; the file, the exact line (without its indentation), what takes its place."""

    name: str
    file: str
    line: str
    replacement: str
    test: str


MUTANTS = [
    Mutant(
        "a file takes its name before its bytes are on the disk",
        "data/atomic.py",
        "_to_disk(file.fileno())",
        "pass",
        "tests/test_saving.py::test_a_model_is_on_the_disk_before_it_takes_its_name",
    ),
    Mutant(
        "a file is copied to its name and not renamed",
        "data/atomic.py",
        "_rename(part, path)",
        "shutil.copyfile(part, path)",
        "tests/test_saving.py::test_a_model_is_on_the_disk_before_it_takes_its_name",
    ),
    Mutant(
        "a model's checksum is not compared",
        "saving/model_file.py",
        'if metadata.get("sha256") != checksum(text, arrays):',
        "if False:",
        "tests/test_malformed_models.py::test_M2_every_single_byte_of_the_arrays_is_under_the_checksum",
    ),
    Mutant(
        "a header may be nested without end",
        "saving/container.py",
        "if len(code) and (depth.max() > DEPTH_LIMIT or np.count_nonzero(opening) > BRACKET_LIMIT):",
        "if False:",
        "tests/test_container.py::test_a_header_that_cannot_be_true_is_refused",
    ),
    Mutant(
        "arrays may leave gaps, where another file could hide",
        "saving/container.py",
        "if entry.begin != place:",
        "if entry.begin < place:",
        "tests/test_container.py::test_a_header_that_cannot_be_true_is_refused",
    ),
    Mutant(
        "the size of an image is not bounded",
        "layers/row.py",
        "if math.prod(shape) > VALUE_LIMIT:",
        "if False:",
        "tests/test_malformed_models.py::test_forged_sizes_are_refused_before_memory_is_asked_for",
    ),
    Mutant(
        "BatchNorm's mean is that of the chunk",
        "layers/batchnorm.py",
        "*total, m = ctx.sum(np.append(channel_sum(x), x.size // x.shape[-1]))",
        "*total, m = np.append(channel_sum(x), x.size // x.shape[-1])",
        "tests/test_chunked_training.py::test_a_step_in_chunks_is_the_step_in_one_piece",
    ),
    Mutant(
        "a running average is not part of the state",
        "layers/batchnorm.py",
        'state = ("running_mean", "running_var")',
        'state = ("running_mean",)',
        "tests/test_model.py::test_parameters_have_these_names_in_this_order",
    ),
    Mutant(
        "chunks are added in the order in which they arrive",
        "team.py",
        "self.total = (self.combine or ordered_sum)([self.parts[i] for i in range(self.count)])",
        "self.total = (self.combine or ordered_sum)(list(self.parts.values()))",
        "tests/test_team.py::test_the_sum_has_its_terms_in_the_order_of_the_chunks",
    ),
    Mutant(
        "the step is no part of the random state",
        "randomness.py",
        "return stream_key(self.seed, self.step, draw)",
        "return stream_key(self.seed, draw)",
        "tests/layers/test_dropout.py::test_another_step_has_another_mask",
    ),
    Mutant(
        "the mask depends on the place in the chunk, not on the example",
        "randomness.py",
        "counter = np.arange(shape[0] * per_example, dtype=np.uint64) + np.uint64(self.first * per_example)",
        "counter = np.arange(shape[0] * per_example, dtype=np.uint64)",
        "tests/layers/test_dropout.py::test_the_mask_is_the_examples_own_however_the_batch_is_cut",
    ),
    Mutant(
        "the optimizer's step is not restored",
        "checkpoint/contents.py",
        'run.optimizer.steps, run.optimizer.lr_scale = data["steps"], data["lr_scale"]',
        'run.optimizer.lr_scale = data["lr_scale"]',
        "tests/test_resuming.py::test_M5_resumed_at_any_batch_a_training_ends_with_the_same_bits",
    ),
    Mutant(
        "the former generation of a checkpoint is not kept",
        "checkpoint/generations.py",
        "good = self.mine or is_whole(self.path)",
        "good = False",
        "tests/test_checkpoint_faults.py::test_M9_of_a_damaged_newest_generation_the_one_before_is_taken_and_that_is_said",
    ),
    Mutant(
        "of equal maxima the last gets the gradient",
        "layers/pool.py",
        "winner = values.argmax(axis=3, keepdims=True)  # (n, out_h, out_w, 1, c)",
        "winner = values.shape[3] - 1 - values[:, :, :, ::-1].argmax(axis=3, keepdims=True)",
        "tests/layers/test_pool.py::test_on_a_tie_the_first_in_reading_order_gets_all_the_gradient",
    ),
    Mutant(
        "machine code is executed without a look at its checksum",
        "compiled/jit/cache.py",
        "if hashlib.sha256(contents[32:]).digest() != contents[:32]:",
        "if False:",
        "tests/compiled/test_jit.py::test_E5_no_damaged_file_is_ever_used",
    ),
    Mutant(
        "machine code is written under its final name",
        "compiled/jit/cache.py",
        "os.replace(temporary, path)",
        "shutil.copyfile(temporary, path)",
        "tests/compiled/test_jit.py::test_a_kernel_is_compiled_once_and_found_again",
    ),
    Mutant(
        "a download's hash is not compared",
        "data/download.py",
        "if found != sha256:",
        "if False:",
        "tests/data/test_download.py::test_D6_a_bad_answer_has_one_short_reason_and_leads_to_the_next_mirror",
    ),
]
