"""Claims on the page: a line each with its verdict, and every place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from convbench.analysis.claim_sentences import bounds_text, figure_text, figures_text, instance_place, verdict_sentence
from convbench.report.answers import Answers
from convbench.report.views import Value

HEAD: Final = ("what people say", "claimed", "verdict", "measured here")
PLACE_HEAD: Final = ("claim", "where", "figure", "verdict", "note")


def claim_values(answers: Answers) -> Iterator[list[Value]]:
    """A line a claim, as long as `HEAD`."""
    for one in answers.claims:
        yield [
            Value(one.claim.says, hint=one.claim.source),
            Value(bounds_text(one.claim)),
            Value(one.verdict, hint=verdict_sentence(one)),
            Value(figures_text(one) or "–"),
        ]


def place_values(answers: Answers) -> Iterator[list[Value]]:
    """A line a claim and place, as long as `PLACE_HEAD`."""
    for one in answers.claims:
        for instance in one.instances:
            figure = instance.figure
            yield [
                Value(one.claim.says),
                Value(instance_place(instance)),
                Value("–") if figure is None else Value(figure_text(figure, one.claim), figure.value),
                Value(instance.verdict),
                Value(instance.why),
            ]
