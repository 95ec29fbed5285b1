import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from convbench.errors import SuiteError
from convbench.result import Cell, Crossing, Target
from convbench.spec import ConvSpec
from convbench.suite import find_suite, load_suite, shipped_suites, suite_from_spec, suite_schema
from convbench.suite.axes import resolve, spread

SUITES = Path(__file__).parent.parent / "suites"
ALGORITHMS = {
    "naive": SimpleNamespace(tags={"cpu", "textbook"}),
    "direct": SimpleNamespace(tags={"cpu", "direct"}),
    "fft": SimpleNamespace(tags={"cpu", "fft"}),
    "scipy_fft": SimpleNamespace(tags={"cpu", "fft", "peer"}),
}


@pytest.fixture
def suite(tmp_path):
    def load(text):
        path = tmp_path / "s.yaml"
        path.write_text(text, encoding="utf-8")
        return load_suite(path)

    return load


def ids(cells):
    return [cell.spec.id for cell in cells]


# --- the product of the axes ------------------------------------------------------------------------


def test_a_sweep_is_the_product_of_its_axes_in_the_authors_order(suite):
    cells = suite("sweep: {kernel: [3, 5], image: [16, 32]}").cells(1)
    assert [cell.axes for cell in cells] == [
        {"kernel": 3, "image": 16},
        {"kernel": 3, "image": 32},
        {"kernel": 5, "image": 16},
        {"kernel": 5, "image": 32},
    ]
    assert cells[1].spec == ConvSpec(h=32, w=32, r=3, s=3)


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        ("[3, 9, 5]", [3, 9, 5]),
        ("7", [7]),
        ("{from: 3, to: 15, step: 4}", [3, 7, 11, 15]),
        ("{from: 3, to: 14, step: 4}", [3, 7, 11]),
        ("{from: 1, to: 16, factor: 2}", [1, 2, 4, 8, 16]),
        ("{from: 2, to: 9, factor: 1.5}", [2, 3, 4, 7]),
        ("{from: 1, to: 16, count: 5}", [1, 2, 4, 8, 16]),
        ("{from: 1, to: 4, count: 9}", [1, 2, 3, 4]),
        ("{from: 5, to: 5, count: 1}", [5]),
    ],
)
def test_an_axis_is_a_list_a_value_or_a_range(suite, axis, values):
    cells = suite(f"sweep: {{image: 16, kernel: {axis}}}").cells(1)
    assert [cell.spec.r for cell in cells] == values


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.integers(2, 200))
def test_a_range_by_ratio_keeps_both_ends_and_grows(start, more, count):
    values = spread({"from": start, "to": start + more, "count": count})
    assert (values[0], values[-1]) == (start, start + more)
    assert values == sorted(set(values))


@given(st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0.01, 1))
def test_a_range_by_steps_stays_inside(start, more, step):
    values = spread({"from": start, "to": start + more, "step": step})
    assert values[0] == pytest.approx(start)
    assert start + more - step * (1 + 1e-6) <= values[-1] <= start + more + step * 1e-6


def test_a_range_of_sigmas_is_not_rounded_to_whole_numbers(suite):
    cells = suite("sweep: {image: 64, sigma: {from: 0.5, to: 2.0, step: 0.5}}").cells(1)
    assert [cell.axes["sigma"] for cell in cells] == [0.5, 1, 1.5, 2]


def test_sweeps_meet_in_one_grid_and_a_common_cell_is_one(suite):
    cells = suite("""
        defaults: {image: 64, kernel: 3}
        sweep:
          - {image: [32, 64]}
          - {kernel: [3, 5]}
        """).cells(1)
    assert [cell.axes for cell in cells] == [
        {"image": 32, "kernel": 3},
        {"image": 64, "kernel": 3},
        {"image": 64, "kernel": 5},
    ]


# --- settings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "spec"),
    [
        ("{image: 8, kernel: 3}", ConvSpec(h=8, w=8, r=3, s=3)),
        ("{image: 8x12, r: 3, s: 1}", ConvSpec(h=8, w=12, r=3, s=1)),
        ("{image: 8, kernel: 3, channels: 4, batch: 2}", ConvSpec(n=2, c=4, h=8, w=8, k=4, r=3, s=3)),
        ("{image: 8, kernel: 3, stride: [2, 1]}", ConvSpec(h=8, w=8, r=3, s=3, stride=(2, 1))),
        ("{image: 8, kernel: 3, padding: same}", ConvSpec(h=8, w=8, r=3, s=3, padding=1)),
        ("{image: 8, kernel: 3, padding: [0, 2]}", ConvSpec(h=8, w=8, r=3, s=3, padding=(0, 2))),
        ("{image: 8, kernel: 3, padding: [[1, 0], [2, 3]]}", ConvSpec(h=8, w=8, r=3, s=3, padding=((1, 0), (2, 3)))),
        ("{image: 8, kernel: 3, flip: true, boundary: wrap}", ConvSpec(h=8, w=8, r=3, s=3, flip=True, boundary="wrap")),
        ("n1c1h8w8k1r3s3+padding=1", ConvSpec(h=8, w=8, r=3, s=3, padding=1)),
    ],
)
def test_settings_make_a_spec(suite, settings, spec):
    (cell,) = suite(f"shapes: [{settings!s}]").cells(1)
    assert cell.spec == spec


def test_later_levels_override_earlier_ones_whichever_word_says_it(suite):
    cells = suite("""
        defaults: {image: 64, r: 3, s: 3, dtype: float64, padding: same}
        shapes:
          - {h: 32}
          - {kernel: 5, dtype: float32}
          - n1c1h8w8k1r3s3
        """).cells(1)
    assert ids(cells) == [
        "n1c1h32w64k1r3s3+padding=1+dtype=float64",
        "n1c1h64w64k1r5s5+padding=2",
        "n1c1h8w8k1r3s3",  # an id is a whole problem: defaults do not touch it
    ]


@pytest.mark.parametrize("sigma", [0.3, 0.5, 1, 1.6, 2, 3.1, 8])
def test_sigma_sets_scipys_extent(sigma):
    spec = resolve([{"image": 128, "sigma": sigma}])
    radius = int(4.0 * sigma + 0.5)  # scipy.ndimage.gaussian_filter1d
    assert (spec.r, spec.s, spec.filter) == (2 * radius + 1, 2 * radius + 1, f"gaussian:{sigma:g}")


@pytest.mark.parametrize(
    "levels", [[{"kernel": 9}, {"sigma": 3}], [{"sigma": 3}, {"kernel": 9}], [{"sigma": 3, "kernel": 9}]]
)
def test_sigma_leaves_a_given_extent_alone(levels):
    spec = resolve([{"image": 64}, *levels])
    assert (spec.r, spec.s, spec.filter) == (9, 9, "gaussian:3")


def test_a_later_filter_replaces_sigma_and_its_extent():
    spec = resolve([{"image": 64, "sigma": 3}, {"filter": "box", "kernel": 3}])
    assert (spec.r, spec.filter) == (3, "box")


# --- threads, merging, weights ----------------------------------------------------------------------


def test_all_threads_are_the_cores_and_count_once(suite):
    it = suite("defaults: {threads: [1, all]}\nsweep: {image: 8, kernel: 3}")
    assert [cell.threads for cell in it.cells(4)] == [1, 4]
    assert [cell.threads for cell in it.cells(1)] == [1]
    assert [cell.threads for cell in it.cells(4, ["all"])] == [4]


def test_threads_that_coincide_do_not_add_their_weights(suite):
    (cell,) = suite("defaults: {threads: [1, all]}\nshapes: {image: 8, kernel: 3, weight: 2}").cells(1)
    assert (cell.threads, cell.weight) == (1, 2.0)


def test_threads_may_be_swept_or_a_shapes_own(suite):
    cells = suite("""
        defaults: {threads: 1}
        sweep: {image: 8, kernel: 3, threads: [2, 1]}
        shapes: [{image: 9, kernel: 3, threads: all}, {image: 10, kernel: 3}]
        """).cells(3)
    assert [(cell.spec.h, cell.threads) for cell in cells] == [(8, 2), (8, 1), (9, 3), (10, 1)]
    assert cells[0].axes == {"image": 8, "kernel": 3}


def test_a_layer_listed_twice_is_one_cell_with_both_weights(suite):
    cells = suite("""
        sweep: {image: [8, 9], kernel: 3}
        shapes:
          - {name: a, image: 8, kernel: 3, weight: 2}
          - {name: b, image: 8, kernel: 3}
          - {name: c, image: 10, kernel: 3, weight: 0.5}
        """).cells(1)
    assert [(cell.spec.h, cell.name, cell.weight) for cell in cells] == [(8, "a", 3.0), (9, "", 1.0), (10, "c", 0.5)]
    assert cells[0].axes == {"image": 8, "kernel": 3}


def test_keys_of_cells_are_unique_in_every_shipped_suite():
    for path in shipped_suites().values():
        keys = [cell.key for cell in load_suite(path).cells(2)]
        assert len(keys) == len(set(keys))


# --- tables of shapes -------------------------------------------------------------------------------

TABLE = """\
source,name,n,c,h,w,k,r,s,pad_h,pad_w,stride_h,stride_w,dilation,groups
vgg,conv3_2*3,64,256,56,56,256,3,3,1,1,1,1,1,1
mobile,dw,32,16,112,100,16,3,5,1,2,2,1,2,16
vgg,conv1_1,64,3,224,224,64,3,3,1,1,1,1,1,1
"""


def test_shapes_come_from_a_table_with_multiplicities(suite, tmp_path):
    (tmp_path / "layers.csv").write_text(TABLE)
    cells = suite("shapes_from: layers.csv\ndefaults: {dtype: float64}").cells(1)
    assert [(cell.name, cell.weight) for cell in cells] == [("conv3_2", 3), ("dw", 1), ("conv1_1", 1)]
    assert cells[1].spec == ConvSpec(
        n=32, c=16, h=112, w=100, k=16, r=3, s=5, padding=(1, 2), stride=(2, 1), dilation=2, groups=16, dtype="float64"
    )


def test_a_table_is_filtered_by_source_and_taken_at_another_batch(suite, tmp_path):
    (tmp_path / "layers.csv").write_text(TABLE)
    cells = suite("shapes_from: {file: layers.csv, source: vgg, batch: 1}").cells(1)
    assert [(cell.name, cell.spec.n) for cell in cells] == [("conv3_2", 1), ("conv1_1", 1)]


# --- the rest of the keys ---------------------------------------------------------------------------


def test_quantities_are_read_into_seconds_and_bytes(suite):
    it = suite("shapes: [n1c1h8w8k1r3s3]\nbudget: 4m\ntimeout: 1.5\nmemory_limit: 4GiB\nseed: 7")
    assert (it.budget_s, it.timeout_s, it.memory_limit_bytes, it.seed) == (240.0, 1.5, 4 * 2**30, 7)


def test_defaults_are_sensible(suite):
    it = suite("shapes: [n1c1h8w8k1r3s3]")
    assert (it.name, it.device, it.passes, it.budget_s, it.timeout_s, it.seed) == ("s", "cpu", 5, None, 60.0, 0)
    assert it.cells(2) == (Cell(spec=ConvSpec(h=8, w=8, r=3, s=3)),)


def test_an_input_is_found_beside_the_suite(suite, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"")
    assert suite("shapes: [n1c1h8w8k1r3s3]\ninput: photo.png").input == str(tmp_path / "photo.png")
    assert suite("shapes: [n1c1h8w8k1r3s3]\ninput: sample:grace_hopper.jpg").input == "sample:grace_hopper.jpg"


def test_anchors_and_yaml_1_2_scalars(suite):
    it = suite("""
        description: "1:30"
        defaults: &d {image: 8, kernel: 3}
        shapes: [*d, {image: 9, kernel: 3}]
        name: on
        """)
    assert (it.description, it.name) == ("1:30", "on")
    assert len(it.cells(1)) == 2


def test_the_text_and_its_hash_are_kept_for_the_record(suite):
    it = suite("shapes: [n1c1h8w8k1r3s3]  # ×\n")
    assert it.text == "shapes: [n1c1h8w8k1r3s3]  # ×\n"
    assert len(it.sha256) == 64


# --- algorithms -------------------------------------------------------------------------------------


def test_names_and_tags_are_selected_in_order_and_once(suite):
    it = suite("shapes: [n1c1h8w8k1r3s3]\nalgorithms: [scipy_fft, {tag: fft}, naive]")
    assert it.select(ALGORITHMS) == ("scipy_fft", "fft", "naive")
    assert suite("shapes: [n1c1h8w8k1r3s3]\nalgorithms: {tag: cpu}").select(ALGORITHMS) == tuple(ALGORITHMS)
    assert suite("shapes: [n1c1h8w8k1r3s3]").select(ALGORITHMS) == tuple(ALGORITHMS)


@pytest.mark.parametrize(
    ("algorithms", "crossover", "problem"),
    [
        ("fftt", "{}", "4: unknown algorithm 'fftt'; did you mean 'fft'? valid: direct, fft, naive, scipy_fft"),
        ("{tag: fst}", "{}", "4: unknown tag 'fst'; did you mean 'fft'? valid: cpu, direct, fft, peer, textbook"),
        (
            "fft",
            "{from: dirct}",
            "6: unknown algorithm 'dirct'; did you mean 'direct'? valid: direct, fft, naive, scipy_fft",
        ),
    ],
)
def test_unknown_algorithms_are_named_at_their_line(suite, tmp_path, algorithms, crossover, problem):
    start = yaml.safe_load(crossover).get("from", "naive")
    it = suite(f"""sweep: {{image: 8, kernel: [3, 5]}}
algorithms:
  - naive
  - {algorithms}
crossovers:
  - {{axis: kernel, from: {start}, to: fft}}
""")
    with pytest.raises(SuiteError) as error:
        it.select(ALGORITHMS)
    assert str(error.value) == f"{tmp_path}/s.yaml:{problem}"


def test_crossovers_may_name_algorithms_that_are_known_but_not_selected(suite):
    it = suite("sweep: {image: 8, kernel: [3, 5]}\nalgorithms: naive\ncrossovers: {axis: kernel, from: naive, to: fft}")
    assert it.select(ALGORITHMS) == ("naive",)
    assert it.crossings == (Crossing(axis="kernel", start="naive", to="fft"),)


# --- one spec, and the shipped suites ---------------------------------------------------------------


@given(st.sampled_from(["zero", "reflect"]), st.integers(1, 5), st.sampled_from(["random", "gaussian:1.5"]))
def test_a_spec_is_a_suite_of_one_cell(boundary, stride, family):
    spec = ConvSpec(h=9, w=12, r=3, s=3, stride=stride, padding=((1, 2), (0, 1)), boundary=boundary, filter=family)
    it = suite_from_spec(spec, ("all", 1), ["fft"])
    assert [(cell.spec, cell.threads) for cell in it.cells(2)] == [(spec, 2), (spec, 1)]
    assert it.select(ALGORITHMS) == ("fft",)


def test_an_unknown_algorithm_of_a_spec_is_an_error_of_one_line():
    with pytest.raises(SuiteError, match=r"^n1c1h8w8k1r3s3:\d+: unknown algorithm 'x'; valid: "):
        suite_from_spec(ConvSpec(h=8, w=8, r=3, s=3), algorithms=["x"]).select(ALGORITHMS)


def test_shipped_suites_are_found_by_name_and_load():
    assert {"fft_vs_direct", "separable_gaussian", "winograd_vs_im2col", "smoke"} <= set(shipped_suites())
    for name, path in shipped_suites().items():
        assert find_suite(name) == find_suite(name.rpartition("/")[2]) == path
        assert load_suite(find_suite(name)).cells(2)
        assert path.read_text().startswith("# yaml-language-server: $schema=")


def test_a_path_is_taken_as_it_is(tmp_path):
    assert find_suite("no/such.yaml") == Path("no/such.yaml")
    (tmp_path / "odd").touch()
    assert find_suite(str(tmp_path / "odd")) == tmp_path / "odd"


def test_an_unknown_suite_names_the_shipped_ones():
    with pytest.raises(
        SuiteError,
        match=r"^unknown suite 'smok'; did you mean 'smoke'\? valid: box_blur, ci, claims/bottleneck, claims/fft_49, ",
    ):
        find_suite("smok")


def test_the_shipped_fft_suite_is_the_grid_it_promises():
    cells = load_suite(find_suite("fft_vs_direct")).cells(2)
    assert len(cells) == 4 * 9 * 2
    assert {cell.spec.r for cell in cells} == {3, 5, 7, 9, 11, 15, 21, 31, 63}
    assert all(cell.spec.y_shape == cell.spec.x_shape for cell in cells)


def test_the_published_schema_is_current():
    published = json.loads((SUITES / "suite.schema.json").read_text(encoding="utf-8"))
    assert published == suite_schema(), "convbench schema > suites/suite.schema.json"


def test_the_schema_refers_only_to_what_it_defines():
    schema = suite_schema()
    text = json.dumps(schema)
    referred = {part.split('"')[0] for part in text.split("#/$defs/")[1:]}
    assert referred == set(schema["$defs"])
    assert set(schema["properties"]) >= {"schema", "sweep", "shapes", "shapes_from", "budget", "memory_limit"}


# --- grounds and sides --------------------------------------------------------------------------------


def test_a_ground_is_a_label_of_cells_and_no_part_of_their_problem(suite):
    it = suite("""
        defaults: {ground: filters, threads: [1, all]}
        sweep:
          - {image: 8, kernel: [3, 5]}
          - {image: 8, kernel: [7], ground: large}
        shapes: [n1c1h9w9k1r3s3, {image: 10, kernel: 3, ground: layers}]
        """)
    cells = it.cells(2)
    assert [cell.ground for cell in cells[::2]] == ["filters", "filters", "large", "filters", "layers"]
    assert all(set(cell.axes) <= {"image", "kernel"} for cell in cells)
    assert suite("sweep: {image: 8, kernel: 3}").cells(1)[0].ground == ""


def test_sides_are_peers_and_the_rest_unless_told(suite):
    shape = "shapes: [n1c1h8w8k1r3s3]\n"
    everyone = tuple(ALGORITHMS)
    assert suite(shape).sides(ALGORITHMS, everyone, 2) is None
    plain = suite(shape + "versus: {}").sides(ALGORITHMS, everyone, 2)
    assert (plain.ours, plain.theirs) == (("naive", "direct", "fft"), ("scipy_fft",))
    told = suite(shape + "versus: {ours: {tag: fft, not: peer}, theirs: [naive, scipy_fft]}")
    sides = told.sides(ALGORITHMS, everyone, 2)
    assert (sides.ours, sides.theirs) == (("fft",), ("naive", "scipy_fft"))
    assert told.sides(ALGORITHMS, ("scipy_fft", "fft"), 2).theirs == ("scipy_fft",)


def test_targets_know_their_ground_and_how_many_all_threads_are(suite):
    it = suite("defaults: {ground: a}\nshapes: {image: 8, kernel: 3}\nversus: {targets: {threads: all, at_least: 2}}")
    assert it.sides(ALGORITHMS, tuple(ALGORITHMS), 4).targets == (Target(threads=4, at_least=2),)


@pytest.mark.parametrize(
    ("sides", "problem"),
    [
        ("{ours: {tag: cpu}}", "2: versus: scipy_fft is on both sides; tell them apart, as with not: peer"),
        ("{ours: dirct}", "2: unknown algorithm 'dirct'; did you mean 'direct'? valid: direct, fft, naive"),
        ("{theirs: {tag: cpu, not: pear}}", "2: unknown tag 'pear'; did you mean 'peer'? valid: cpu"),
    ],
)
def test_sides_that_cannot_be_are_told_at_their_line(suite, tmp_path, sides, problem):
    it = suite(f"shapes: [n1c1h8w8k1r3s3]\nversus: {sides}")
    with pytest.raises(SuiteError) as error:
        it.sides(ALGORITHMS, tuple(ALGORITHMS), 2)
    assert str(error.value).startswith(f"{tmp_path}/s.yaml:{problem}")


def test_the_peer_suites_cover_their_grounds():
    filters = load_suite(find_suite("peers_filters")).cells(2)
    assert len(filters) == 5 * 12 * 2
    assert {cell.spec.h for cell in filters} == {256, 512, 1024, 2048, 4096}
    gaussian = load_suite(find_suite("peers_gaussian")).cells(2)
    assert len(gaussian) == 4 * 7 * 2
    assert {(cell.spec.boundary, cell.spec.filter.partition(":")[0]) for cell in gaussian} == {("reflect", "gaussian")}
    layers = load_suite(find_suite("peers_layers")).cells(2)
    assert all(cell.ground and cell.name for cell in layers)
    assert len(layers) == 56 * 2
