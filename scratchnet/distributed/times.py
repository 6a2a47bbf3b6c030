"""Where the time of a distributed run goes: compute, communicate, wait.

A rank measures how long each exchange takes it. The rank that comes last does not wait, so its time is that of the
communication itself; what the others took longer, they waited. So of exchange i, in which rank r was for t(r, i),

    communicate  Σᵢ minᵣ t(r, i)          wait  Σᵢ t(r, i) - minᵣ t(r, i)          compute  what is left of the epochs

No clock is compared with another machine's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

KEPT = 100_000  # exchanges since they were compared last; of more, the first ones are compared


@dataclass
class Times:
    """The exchanges of the training steps."""

    seconds: list[float] = field(default_factory=list)  # of this rank's exchanges since they were compared last
    sent: int = 0  # bytes that this rank sent to each other one, in all steps
    messages: int = 0
    steps: int = 0  # of the epochs that are finished
    total: np.ndarray = field(default_factory=lambda: np.zeros(3))  # compute, communicate, wait: mean of the ranks

    def add(self, seconds: float, sent: int) -> None:
        """An exchange."""
        self.messages, self.sent = self.messages + 1, self.sent + sent
        if len(self.seconds) < KEPT:
            self.seconds.append(seconds)

    def compare(self, of_ranks: list[list[float]], epoch_seconds: float) -> None:
        """Divide an epoch among the three. of_ranks: the exchanges of each rank."""
        count = min(map(len, of_ranks))
        t = np.array([seconds[:count] for seconds in of_ranks]).reshape(len(of_ranks), count)
        communicate = t.min(axis=0).sum()
        exchanging = t.sum(axis=1).mean()
        self.total += epoch_seconds - exchanging, communicate, exchanging - communicate
        self.seconds.clear()

    def line(self, ranks: int, steps: int) -> str:
        """4 ranks: compute 81 %, communicate 12 %, wait 7 % of 31.2 s; a rank sent 0.76 MB in 1 message a step

        >>> times = Times()
        >>> times.add(0.25, sent=1_000_000)
        >>> times.compare([[0.25], [0.15]], epoch_seconds=1.0)
        >>> times.line(ranks=2, steps=1)
        '2 ranks: compute 80 %, communicate 15 %, wait 5 % of 1.0 s; a rank sent 1.00 MB in 1 message a step'
        """
        whole, steps = self.total.sum(), max(steps, 1)
        shares = self.total / whole if whole else self.total
        names = ("compute", "communicate", "wait")
        divided = ", ".join(f"{name} {100 * share:.0f} %" for name, share in zip(names, shares, strict=True))
        each = round(self.messages / steps)
        return (
            f"{ranks} ranks: {divided} of {whole:.1f} s; a rank sent {self.sent / steps / 1e6:.2f} MB in {each} "
            f"message{'s' * (each != 1)} a step"
        )
