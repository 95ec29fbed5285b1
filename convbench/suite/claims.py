"""What `claims:` may say: sentences that people believe, each with a figure that a run can find and its bounds.

    - says: FFT convolution is worth it only from about 49 × 49.
      crossover: {axis: kernel, from: direct, to: fft}
      at_least: 40
      at_most: 60

A claim is about one of three things. A `crossover` is where along an axis `to` overtakes `from`. A `ratio` is how many
times one side is the other; a side is an algorithm, the fastest of several, or a quantity of the problem itself.
A `payback` is the number of images with one filter from which `to` is the cheaper, plan and filter included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final

from pydantic import AfterValidator, PlainValidator
from pydantic import WithJsonSchema as Schema

from convbench.result import AxisValue, Break, Claim, Crossing, Quantity, Ratio, Side
from convbench.suite.axes import Keys, OneOrMany, Shorthand
from convbench.suite.values import POSITIVE, Json, expected, misfit, text, word
from convbench.suite.yaml_lines import Document, Place, unknown

KINDS: Final = ("crossover", "ratio", "payback")


def _at(value: object) -> dict[str, tuple[AxisValue, ...]]:
    if not isinstance(value, dict) or not value:
        raise expected("coordinates of cells, such as {kernel: 3} or {name: [reduce, expand]}", value)
    found: dict[str, tuple[AxisValue, ...]] = {}
    for axis, given in value.items():
        values = given if isinstance(given, list) else [given]
        if not values or any(isinstance(one, bool) or not isinstance(one, int | float | str) for one in values):
            raise misfit(f"{axis}: expected a number or a name, or a list of them", axis)
        found[axis] = tuple(values)
    return found


def _alike(side: dict[str, Any]) -> dict[str, Any]:
    """A side whose quantities can be added."""
    first, *others = (Quantity(name) for name in side.get("quantity", ("time",)))
    for other in others:
        if other.unit != first.unit:
            raise misfit(
                f"{first} and {other} cannot be added: one is {first.unit}, the other {other.unit}", "quantity"
            )
    return side


def _comparable(ratio: dict[str, Any]) -> dict[str, Any]:
    """A ratio that is a number: both sides are of one kind."""
    (unit, per), *over = map(_units, ratio.values())
    if not over and per not in ("", unit):
        raise misfit(f"{unit} per {per} is no figure by itself; give over, too")
    if over and over[0] != (unit, per):
        kinds = [f"{unit} per {per}" if per else unit for unit, per in map(_units, ratio.values())]
        raise misfit(f"of is {kinds[0]} and over is {kinds[1]}: they make no ratio", "over")
    return ratio


def _units(side: dict[str, Any]) -> tuple[str, str]:
    """What a side is in, and what that is divided by."""
    quantity, *_ = side.get("quantity", ("time",))
    return Quantity(quantity).unit, Quantity(side["per"]).unit if "per" in side else ""


def _one_kind(claim: dict[str, Any]) -> dict[str, Any]:
    kinds = [kind for kind in KINDS if kind in claim]
    if len(kinds) != 1:
        raise misfit(f"expected exactly one of {', '.join(KINDS)}, not {' and '.join(kinds) or 'none'}")
    low, high = (claim.get(bound) for bound in ("at_least", "at_most"))
    if low is None and high is None:
        raise misfit("expected at_least, at_most or both: the figures with which it holds")
    if low is not None and high is not None and low > high:
        raise misfit(f"at_least {low:g} is more than at_most {high:g}", "at_least")
    if "algorithms" in claim and kinds != ["ratio"]:
        raise misfit(f"a {kinds[0]} is between two algorithms that it names itself", "algorithms")
    if "payback" in claim and claim["payback"]["from"] == claim["payback"]["to"]:
        raise misfit("a payback is between two different algorithms", "payback")
    return claim


_SCALAR: Final[Json] = {"type": ["number", "string"]}
Text = Annotated[str, PlainValidator(text), Schema({"type": "string"})]
_NAMES: Final = Annotated[tuple[Text, ...], OneOrMany()]
Named = Annotated[
    str, PlainValidator(partial(word, kind="quantity", valid=tuple(Quantity))), Schema({"enum": list(Quantity)})
]
_AT: Final = Annotated[
    Any,
    PlainValidator(_at),
    Schema({"type": "object", "additionalProperties": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]}}),
]
_SIDE: Final = Annotated[
    dict[str, Any],
    Keys({"algorithm": _NAMES, "quantity": Annotated[tuple[Named, ...], OneOrMany()], "per": Named, "at": _AT}),
    Shorthand(lambda name: {"algorithm": (name,)}, "an algorithm's name"),
    AfterValidator(_alike),
]
_ENDS: Final = ("axis", "from", "to")
WrittenCrossover = Annotated[dict[str, Any], Keys({**dict.fromkeys(_ENDS, Text), "refine": POSITIVE}, _ENDS)]
WrittenClaim = Annotated[
    dict[str, Any],
    Keys(
        {
            "says": Text,
            "source": Text,
            "crossover": WrittenCrossover,
            "ratio": Annotated[
                dict[str, Any], Keys({"of": _SIDE, "over": _SIDE}, ("of",)), AfterValidator(_comparable)
            ],
            "payback": Annotated[dict[str, Any], Keys(dict.fromkeys(("from", "to"), Text), ("from", "to"))],
            "algorithms": _NAMES,
            "at_least": POSITIVE,
            "at_most": POSITIVE,
        },
        ("says",),
    ),
    AfterValidator(_one_kind),
]


def claim_of(written: Mapping[str, Any], selected: Sequence[str]) -> Claim:
    """The record of a claim in a suite with these algorithms."""
    about: Crossing | Ratio | Break
    if "crossover" in written:
        about = crossing_of(written["crossover"])
    elif "payback" in written:
        about = Break(start=written["payback"]["from"], to=written["payback"]["to"])
    else:
        about = Ratio(**{name: _side(side) for name, side in written["ratio"].items()})
    bounds = {bound: written.get(bound) for bound in ("at_least", "at_most")}
    names = written.get("algorithms", selected)
    return Claim(says=written["says"], source=written.get("source", ""), about=about, algorithms=names, **bounds)


def crossing_of(written: Mapping[str, Any]) -> Crossing:
    """The record of a crossover, declared by itself or in a claim."""
    return Crossing(axis=written["axis"], start=written["from"], to=written["to"], refine=written.get("refine"))


def _side(written: Mapping[str, Any]) -> Side:
    return Side(
        algorithms=written.get("algorithm", ()),
        quantities=tuple(Quantity(name) for name in written.get("quantity", ("time",))),
        per=Quantity(written["per"]) if "per" in written else None,
        at=written.get("at", {}),
    )


def named(written: Mapping[str, Any]) -> list[tuple[Place, str]]:
    """Every algorithm that a claim names, with its place in it."""
    found: list[tuple[Place, str]] = [(("algorithms", i), name) for i, name in enumerate(written.get("algorithms", ()))]
    for kind in ("crossover", "payback"):
        found += [((kind, end), written[kind][end]) for end in ("from", "to") if kind in written]
    for side, says in written.get("ratio", {}).items():
        found += [(("ratio", side, "algorithm", i), name) for i, name in enumerate(says.get("algorithm", ()))]
    return found


def check_coordinates(
    written: Mapping[str, Any], known: Mapping[str, set[AxisValue]], document: Document, place: Place
) -> None:
    """Raise `SuiteError` for a coordinate that no cell has."""
    for side, says in written.get("ratio", {}).items():
        for axis, values in says.get("at", {}).items():
            here: Place = (*place, "ratio", side, "at", axis)
            if axis not in known:
                raise document.error(here, unknown("coordinate", axis, known) if known else "no cell has coordinates")
            for index, value in enumerate(values):
                if value not in known[axis]:
                    raise document.error((*here, index), unknown(axis, value, map(str, known[axis])))
