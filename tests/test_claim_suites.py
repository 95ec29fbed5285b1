"""The shipped claims: each has a figure to find in its own suite, and all of them fit their time."""

import pytest

from convbench import catalog, claiming
from convbench.analysis.claim_sides import places
from convbench.errors import ConvbenchError, SuiteError
from convbench.result import Break, Crossing, Ratio, RunInfo
from convbench.runs import Wishes, run_info, selected
from convbench.suite import Suite, find_suite, load_suite

NAMES = claiming.shipped()
SUITE = """\
sweep: {image: 32, kernel: [3, 5]}
algorithms: [direct, naive]
claims:
  - says: It is so.
    ratio: {of: naive, over: direct}
    at_least: 1
budget: 10s
"""


def info_of(name: str) -> RunInfo:
    suite, known = load_suite(find_suite(name)), catalog.load()
    return run_info(suite, known, selected(suite, known, Wishes()), Wishes())


@pytest.mark.parametrize("name", NAMES)
def test_every_claim_has_places_and_contenders(name):
    info = info_of(name)
    assert info.claims
    for claim in info.claims:
        match claim.about:
            case Ratio() as ratio:
                assert places(info, ratio, claim.algorithms), claim.says
            case Crossing() as crossing:
                assert crossing in info.crossings
            case Break() as about:
                assert {about.start, about.to} <= set(info.algorithms)


@pytest.mark.parametrize("name", NAMES)
def test_every_suite_of_claims_says_its_time_and_each_claim_once(name):
    suite = load_suite(find_suite(name))
    assert suite.budget_s
    assert len({claim["says"] for claim in suite.claims}) == len(suite.claims)


def test_all_of_them_take_twelve_minutes_at_most():
    assert sum(load_suite(find_suite(name)).budget_s or 0 for name in NAMES) <= 12 * 60


@pytest.mark.parametrize(
    "topic",
    ["49 × 49", "separable", "recursive", "new filter", "powers of two", "does not fit", "im2col", "matrix product",
     "tenfold", "2.25", "four times", "stride", "dilated"],
)  # fmt: skip
def test_what_people_say_is_all_there(topic):
    said = " ".join(claim["says"] for name in NAMES for claim in load_suite(find_suite(name)).claims)
    assert topic in said


def test_a_budget_is_shared_by_the_suites_own():
    some = claiming.sources(["claims/fft_49", "claims/pointwise"], Wishes())
    wishes = Wishes(budget_s=80)
    shares = [claiming.share(one, some, wishes).budget_s for one in some if isinstance(one, Suite)]
    assert sum(shares) == pytest.approx(80)
    assert shares[0] / shares[1] == pytest.approx(150 / 75)
    assert claiming.share(some[0], some, Wishes()).budget_s is None


def test_what_claims_nothing_is_refused_with_what_does(tmp_path):
    with pytest.raises(ConvbenchError, match="smoke: it claims nothing; valid: claims/bottleneck, claims/fft_49, "):
        claiming.sources(["smoke"], Wishes())
    with pytest.raises(ConvbenchError, match="not a run's folder"):
        claiming.sources([str(tmp_path)], Wishes())


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("of: naive", "of: naiv", "5: unknown algorithm 'naiv'; did you mean 'naive'? valid: "),
        ("of: naive", "of: fft", "5: unknown algorithm of this suite 'fft'; valid: direct, naive"),
        ("    at_least", "    algorithms: [naive, im2cl]\n    at_least", "6: unknown algorithm 'im2cl'; did you mean "),
    ],
)
def test_a_claim_about_whom_the_suite_has_not_is_told_at_its_line(tmp_path, old, new, problem):
    path = tmp_path / "s.yaml"
    path.write_text(SUITE.replace(old, new))
    with pytest.raises(SuiteError) as error:
        claiming.sources([str(path)], Wishes())
    assert str(error.value).startswith(f"{path}:{problem}")


def test_contenders_of_a_ratio_are_measured_in_every_pass_and_crossovers_find_their_own(tmp_path):
    path, known = tmp_path / "s.yaml", catalog.load()
    path.write_text(SUITE)
    ratio = load_suite(path)
    path.write_text(
        SUITE.replace("ratio: {of: naive, over: direct}", "crossover: {axis: kernel, from: naive, to: direct}")
    )
    crossover = load_suite(path)
    made = [run_info(suite, known, ("direct", "naive"), Wishes()) for suite in (ratio, crossover)]
    assert [one.options["whole"] for one in made] == [True, False]
    assert [len(one.crossings) for one in made] == [0, 1]
