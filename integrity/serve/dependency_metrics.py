"""What outside services are asked, and send: counted where they are, and where they are asked."""

from collections.abc import Mapping, Sequence

from integrity.operation import Request
from integrity.serve.metrics import Counter, Histogram
from integrity.systems.service import Answer, Delivery, is_answered
from integrity.systems.system import System


class DependencyMetrics:
    """Of one system's, or of several's that one server has: times and codes by what is asked, deliveries and drops."""

    def __init__(self) -> None:
        self.durations = Histogram(
            "dependency_duration_seconds", "until an outside service answered", "system", "service", "asked", "code"
        )
        self.deliveries = Counter(
            "dependency_deliveries_total", "webhooks that were sent, by what came back", "system", "service", "outcome"
        )
        self.drops = Counter("dependency_drops_total", "sendings of webhooks lost on the way", "system", "service")

    @property
    def all(self) -> tuple[Histogram, Counter, Counter]:
        return self.durations, self.deliveries, self.drops

    def note_answer(self, system: System, step: Request, answer: Answer, seconds: float) -> None:
        """Count what was answered, or stood for an answer when whoever asked gave up."""
        self.durations.observe(seconds, system.name, step.service, asked_of(system, step), code_of(answer))

    def note_reaction(self, system: System, service: str, deliveries: Sequence[Delivery]) -> None:
        """Count what is lost on the way of what follows."""
        for _ in range(sum(each.lost for each in deliveries)):
            self.drops.add(system.name, service)


def asked_of(system: System, step: Request) -> str:
    """Return what of a service is asked for; empty: it does one thing."""
    payload: Mapping[str, object] = step.payload
    return str(payload.get(system.request_keys.get(step.service, ""), ""))


def code_of(answer: Answer) -> str:
    """Return the status that an answer has over HTTP; timeout: it has none."""
    if is_answered(answer):
        return "200"
    return str(answer.get("code", "timeout"))
