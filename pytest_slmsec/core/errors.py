"""The one exception tree of the project.

Every message says what is wrong, where (file, row, column, item, option), why, and what to do. `SlmsecError` is what
the plugin and the command line turn into one clear sentence instead of a traceback.
"""

from __future__ import annotations


class SlmsecError(Exception):
    """Base of every error this project raises on purpose."""


class UsageError(SlmsecError):
    """An option, a marker argument or a configuration key that cannot be used."""


class UnknownModelError(UsageError):
    """`--model` named something that is neither in the registry, nor a directory, nor `hf:...`."""


class DataError(SlmsecError):
    """A benchmark file that is damaged or not in its published format; names file, row and column."""


class ReplayError(DataError):
    """Recorded answers that are damaged, contradict themselves, or do not belong to the benchmark; names file and
    record."""


class DataUnavailable(SlmsecError):
    """A benchmark file that cannot be had here; the benchmark is skipped with this reason and remedy."""


class ModelError(SlmsecError):
    """A model that cannot be loaded or is not what it claims to be."""


class ModelUnavailable(ModelError):
    """A model that is neither on disk nor reachable."""


class MissingExtraError(SlmsecError):
    """A part needs a package that is not installed; the message holds the pip line that brings it."""

    def __init__(self, what: str, package: str, extra: str, remark: str = "") -> None:
        super().__init__(
            f"{what} needs the package {package!r}, which is not installed: run `pip install 'pytest-slmsec[{extra}]'`."
            f"{remark}"
        )


class EngineError(SlmsecError):
    """Inference failed for a request; names the item."""


class Unfit(SlmsecError):
    """A benchmark that asks for what a model cannot do; it is skipped with this reason, and never scored."""

    def __init__(self, model: str, benchmark: str, why: str) -> None:
        super().__init__(f"{model} was not asked {benchmark}: {why}.")
        self.model, self.benchmark, self.why = model, benchmark, why


class PromptTooLong(EngineError):
    """A prompt that does not fit the model's context; names the item and both lengths in tokens."""

    def __init__(self, item_id: str, prompt_tokens: int, context_tokens: int) -> None:
        super().__init__(
            f"{item_id}: the prompt has {prompt_tokens} tokens and the model's context holds {context_tokens}; "
            "nothing was cut. Use a model with a longer context, or deselect the item."
        )


class QuantizeError(SlmsecError):
    """A quantised model could not be made, or did not pass its verification."""


class FinetuneError(SlmsecError):
    """A model could not be fine-tuned; names the row, the file or the key."""


class JournalError(SlmsecError):
    """The journal cannot be written or read."""


class TrackerError(SlmsecError):
    """An experiment tracker that cannot be reached or refuses a run."""


class CompareError(SlmsecError):
    """Two runs that must not be compared; names what differs."""


class SharedGpuWarning(UserWarning):
    """More worker processes than GPUs; said at the start."""


class FeasibilityWarning(UserWarning):
    """A benchmark that is to be judged has too few items to PASS; said at collection, before anything runs."""


def one_sentence(name: str, error: Exception) -> str:
    """An exception as one sentence that names the item or model."""
    text = " ".join(str(error).split()) or "no reason given"
    if name in text:
        return text
    return f"{name}: {text}" if isinstance(error, SlmsecError) else f"{name}: {type(error).__name__}: {text}"
