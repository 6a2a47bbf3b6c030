"""A deadlock must fail a test and not hang it."""

import threading


def within(seconds, function):
    """function(), or a failure if it has not come back in time."""
    outcome = []

    def call():
        try:
            outcome.append((function(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    assert outcome, f"still waiting after {seconds} seconds"
    result, error = outcome[0]
    if error is not None:
        raise error
    return result
