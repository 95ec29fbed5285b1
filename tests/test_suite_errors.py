"""Everything that can be wrong with a suite is one line with its place, and nothing but a SuiteError."""

import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from convbench.errors import SuiteError
from convbench.suite import load_suite, shipped_suites

KEYS = (
    "algorithms, budget, claims, cold, crossovers, defaults, description, device, gate, input, memory_limit, name, "
    "network, passes, schema, seed, shapes, shapes_from, strict_geometry, sweep, timeout, versus"
)
SETTINGS = (
    "batch, boundary, c, channels, dilation, direction, dtype, filter, flip, ground, groups, h, image, k, kernel, n, "
    "padding, r, s, sigma, stride, threads, w"
)
FILTERS = "box, disk, gaussian:<number>, laplacian, random, rank:<number>, sobel"

SPECIAL = [  # what a text file cannot hold
    ("", "1: the file is empty"),
    (f"sweep: {{image: 1{400 * '0'}, kernel: 3}}", "1: 10000000000000000000000… has more than 18 digits"),
    (f"name: x\nsweep: {200_000 * '['}", "2: not valid YAML: nested more than 32 deep"),
    ("name: x\nseed: \x07", "2: not valid YAML: the character 0x7 is not allowed"),
]


def cases():
    """The (suite, message) pairs of bad_suites.txt."""
    text = Path(__file__).with_name("bad_suites.txt").read_text(encoding="utf-8")
    text = text.replace("$KEYS", KEYS).replace("$SETTINGS", SETTINGS).replace("$FILTERS", FILTERS)
    text = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#####"))
    for case in text.split("\n=== ")[1:]:
        problem, _, suite = case.partition("\n")
        yield suite.rstrip(), problem


BAD = [*cases(), *SPECIAL]


def message(path):
    with pytest.raises(SuiteError) as error:
        load_suite(path)
    return str(error.value)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("text", "problem"), BAD, ids=[problem[:60] for _, problem in BAD])
def test_a_mistake_is_one_line_with_its_place(here, text, problem):
    Path("s.yaml").write_text(text, encoding="utf-8")
    assert message(Path("s.yaml")) == f"s.yaml:{problem}"


def test_the_table_of_mistakes_is_read_whole():
    assert len(BAD) > 80
    assert all(text or problem == "1: the file is empty" for text, problem in BAD)


def test_the_first_of_several_mistakes_is_told(here):
    Path("s.yaml").write_text("seed: -1\nsweep: {kernl: 3}\nname: a/b")
    assert message(Path("s.yaml")).startswith("s.yaml:1: seed: ")


def test_a_bomb_of_aliases_is_counted_not_expanded(here):
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join(10 * [f'*a{i - 1}'])}]" for i in range(1, 25)]
    Path("s.yaml").write_text("\n".join(levels))
    start = time.perf_counter()
    assert message(Path("s.yaml")) == "s.yaml:5: not valid YAML: more than 100,000 values, with aliases expanded"
    assert time.perf_counter() - start < 2


def test_a_chain_of_aliases_cannot_nest_without_end(here):
    levels = ["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 100))]
    Path("s.yaml").write_text("\n".join(levels))
    assert message(Path("s.yaml")) == "s.yaml:32: not valid YAML: nested more than 32 deep"


def test_files_that_are_none(here):
    assert message(Path("nowhere.yaml")) == "nowhere.yaml:1: cannot be read: No such file or directory"
    assert message(Path()) == ".:1: this is a folder, not a file"
    assert message(Path("a\0b")).startswith("a b:1: cannot be read: ")
    assert message(Path("x" * 300)).endswith("cannot be read: File name too long")


def test_bytes_that_are_not_utf_8(here):
    Path("s.yaml").write_bytes(b"name: x\ndescription: caf\xe9\n")
    assert message(Path("s.yaml")) == "s.yaml:2: not UTF-8: byte 0xe9 at offset 24"


def test_a_file_that_is_too_large(here):
    Path("s.yaml").write_bytes(b"#" * (2**20 + 1))
    assert message(Path("s.yaml")) == "s.yaml:1: the file is larger than 1 MiB"


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ("", "1: the file is empty"),
        ("h,w,r,s,pad_x\n", "1: unknown column 'pad_x'; did you mean 'pad_w'? valid: c, dilation"),
        ("h,w,r\n", "1: the column 's' is missing"),
        ("h,h,w,r,s\n", "1: a column is given twice: h"),
        ("h,w,r,s\n8,8,3\n", "2: 3 values for 4 columns"),
        ("h,w,r,s\n8,8,3,3\n8,8,x,3\n", "3: r: expected a whole number, not 'x'"),
        ("h,w,r,s\n8,8,3,²\n", "2: s: expected a whole number, not '²'"),
        ("h,w,r,s\n8,8,3,3\n\n2,2,3,3\n", "4: h=2 w=2 r=3 s=3: the output is empty: H=2 with padding 0+0 is smaller"),
        ('h,w,r,s\n8,8,3,"3\n', "2: not valid CSV: unexpected end of data"),
        ("source,h,w,r,s\nvgg,8,8,3,3\n", "1: unknown source 'vg'; did you mean 'vgg'? valid: vgg"),
    ],
)
def test_a_bad_table_is_told_at_its_own_line(here, table, problem):
    Path("t.csv").write_text(table, encoding="utf-8")
    source = ", source: vg" if "source" in table else ""
    Path("s.yaml").write_text(f"name: x\nshapes_from: {{file: t.csv{source}}}")
    assert message(Path("s.yaml")).startswith(f"t.csv:{problem}")


# --- fuzzing ----------------------------------------------------------------------------------------

SHIPPED = [path.read_text(encoding="utf-8") for path in shipped_suites().values()]
TOKENS = """sweep shapes defaults image kernel sigma threads algorithms crossovers axis from to step factor count name
weight tag all same 3 0 -1 1.5 1e400 .inf .nan 0x10 010 ~ true null n1c1h8w8k1r3s3 8x9 &a *a !!python/name:os.system
!!set !!binary !x %YAML %TAG --- ... ? : - , [ ] { } | > ' " # @ ` << = \\x \\ud83d \\U00110000 é 😀"""
WORDS = st.sampled_from([*TOKENS.split(), "\t", "\r", "\n", "\x00", "\x85", "\u2028", "\ufeff"])
NOISE = st.lists(st.tuples(WORDS, st.sampled_from(["", " ", ": ", ", ", "\n", "\n  ", "\n- "])), max_size=25).map(
    lambda parts: "".join(map("".join, parts))
)


@st.composite
def mutated(draw):
    """A shipped suite with pieces cut out, doubled, or replaced by noise."""
    text = draw(st.sampled_from(SHIPPED))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(start + draw(st.integers(0, 20)), len(text))
        piece = draw(st.one_of(NOISE, st.just(text[start:end] * 2), st.text(max_size=5), WORDS))
        text = text[:start] + piece + text[end:]
    return text


def only_suite_errors(path):
    try:
        suite = load_suite(path)
        cells = suite.cells(2)
        suite.select({name: SimpleNamespace(tags={"cpu"}) for name in ("naive", "direct", "fft")})
    except SuiteError as error:
        line = str(error)
    else:
        assert cells
        return
    assert line.isprintable()
    assert re.match(rf"{re.escape(str(path.parent))}/[st]\.(yaml|csv):\d+: .", line)


FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(st.one_of(NOISE, mutated()).map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"%YAML 1." + b"9" * 5000 + b"\n--- x")
@example(b"a: !<tag:yaml.org,2002:int> " + b"9" * 5000)
@example(b'shapes: ["h' + b"9" * 5000 + b'"]')
@example(b"shapes: n1c1h8w8k1r3s3+groups=" + b"9" * 5000)
@example(b"budget: " + b"9" * 5000 + b"s")
@example(b'name: "\\x\\u"')
def test_whatever_the_file_holds_nothing_but_a_suite_error_escapes(tmp_path, raw):
    path = tmp_path / "s.yaml"
    path.write_bytes(raw)
    only_suite_errors(path)


@FUZZ
@given(st.binary(max_size=60))
def test_whatever_the_bytes_nothing_but_a_suite_error_escapes(tmp_path, raw):
    path = tmp_path / "s.yaml"
    path.write_bytes(raw)
    only_suite_errors(path)


@FUZZ
@given(st.one_of(NOISE, st.text(max_size=60).map(lambda text: "h,w,r,s\n" + text)))
def test_whatever_the_table_nothing_but_a_suite_error_escapes(tmp_path, text):
    (tmp_path / "t.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    (tmp_path / "s.yaml").write_text("shapes_from: t.csv")
    only_suite_errors(tmp_path / "s.yaml")
