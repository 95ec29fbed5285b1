"""Everything that can be wrong with a suite is one line with its place, and nothing but a SuiteError."""

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from convbench.errors import SuiteError
from convbench.suite import load_suite, shipped_suites

KEYS = (
    "algorithms, budget, crossovers, defaults, description, device, input, memory_limit, name, passes, schema, seed, "
    "shapes, shapes_from, strict_geometry, sweep, timeout"
)
SETTINGS = (
    "batch, boundary, c, channels, dilation, direction, dtype, filter, flip, groups, h, image, k, kernel, n, padding, "
    "r, s, sigma, stride, threads, w"
)
FILTERS = "box, disk, gaussian:<number>, laplacian, random, rank:<number>, sobel"
GOOD = "sweep: {image: 8, kernel: [3, 5]}\n"  # one line, so that what follows is on line 2

BAD = [
    # keys
    ("nam: x", f"1: unknown key 'nam'; did you mean 'name'? valid: {KEYS}"),
    ("name: x\nsweep:\n  image: 8\n  kernl: 3", f"4: sweep: unknown key 'kernl'; did you mean 'kernel'? valid: {SETTINGS}"),
    ("sweep:\n- {image: 8}\n- {kernl: 3}", f"3: sweep[1]: unknown key 'kernl'; did you mean 'kernel'? valid: {SETTINGS}"),
    ("defaults: {wdth: 3}", f"1: defaults: unknown key 'wdth'; valid: {SETTINGS}"),
    ("shapes: [{image: 8, kernel: 3, weigt: 3}]", "1: shapes[0]: unknown key 'weigt'; did you mean 'weight'? valid: batch"),
    (GOOD + "algorithms: [{tg: cpu}]", "2: algorithms[0]: unknown key 'tg'; did you mean 'tag'? valid: tag"),
    (GOOD + "crossovers:\n- {axis: kernel, form: a}", "3: crossovers[0]: unknown key 'form'; did you mean 'from'? valid: axis, from, to"),
    (GOOD + "crossovers: {axis: kernel, from: a}", "2: crossovers: 'to' is missing"),
    ("shapes_from: {source: x}", "1: shapes_from: 'file' is missing"),
    ("name: a\nsweep: {image: 8, kernel: 3}\nname: b", "3: 'name' is given twice (before on line 1)"),
    ("1: 2", f"1: unknown key '1'; valid: {KEYS}"),
    ("<<: {name: x}", f"1: unknown key '<<'; valid: {KEYS}"),
    ("? [a]\n: 2", "1: a key must be a word"),
    # values of the wrong kind
    ("- a", f"1: expected a mapping with some of the keys {KEYS}, not ['a']"),
    ("some words", f"1: expected a mapping with some of the keys {KEYS}, not 'some words'"),
    ("sweep: 5", "1: sweep: expected a mapping, not 5"),
    ("sweep:\n  image: 8\n  kernel:\n  - 3\n  - x", "5: sweep.kernel[1]: expected a whole number from 1 to 2147483647, not 'x'"),
    ("sweep: {image: 8.5, kernel: 3}", "1: sweep.image: expected a whole number from 1 to 2147483647, not 8.5"),
    ("sweep: {image: 8, kernel: true}", "1: sweep.kernel: expected a whole number from 1 to 2147483647, not true"),
    ("sweep: {image: 8, kernel: 0}", "1: sweep.kernel: expected a whole number from 1 to 2147483647, not 0"),
    ("sweep: {image: 8, kernel: }", "1: sweep.kernel: expected a whole number from 1 to 2147483647, not nothing"),
    ("sweep: {image: 8, sigma: [1, 0]}", "1: sweep.sigma[1]: expected a number above 0, at most 1e+06, not 0"),
    ("shapes: {image: 8x, kernel: 3}", "1: shapes.image: expected a whole number or 'HxW', such as 480x640, not '8x'"),
    ("shapes: {stride: [1, 2, 3]}", "1: shapes.stride: expected a whole number or a pair [vertical, horizontal], not [1, 2, 3]"),
    ("defaults:", "1: defaults: expected a mapping, not nothing"),
    ("defaults: {flip: yes}", "1: defaults.flip: expected true or false, not 'yes'"),
    ("defaults: {threads: 0}", "1: defaults.threads: expected a whole number from 1 to 4096, not 0"),
    ("defaults: {threads: al}", "1: defaults.threads: unknown number of threads 'al'; did you mean 'all'? valid: all"),
    ("shapes: 5", "1: shapes: expected a spec's id, such as n1c64h56w56k64r3s3+padding=1, or a mapping, not 5"),
    ("shapes: foo", "1: shapes: 'foo' is not a spec: expected a form like n1c64h56w56k64r3s3+padding=1+stride=2"),
    (GOOD + "algorithms: 5", "2: algorithms: expected an algorithm's name, or a mapping, not 5"),
    (GOOD + "name: a/b", "2: name: expected letters, digits, '.', '_' and '-', since it names a folder, not 'a/b'"),
    (GOOD + "passes: 0", "2: passes: expected a whole number from 1 to 1000, not 0"),
    (GOOD + "seed: true", "2: seed: expected a whole number from 0 to 4294967295, not true"),
    (GOOD + "schema: 2", "2: schema: this convbench reads version 1 of the format, not 2"),
    (GOOD + "budget: 4x", "2: budget: expected a duration such as 30s, 4m or 1h, at most 7 days, not '4x'"),
    (GOOD + "timeout: 0", "2: timeout: expected a duration such as 30s, 4m or 1h, at most 7 days, not 0"),
    (GOOD + "memory_limit: 4G", "2: memory_limit: expected a size such as 512MiB or 4GiB, at most 1024TiB, not '4G'"),
    # unknown words
    ("defaults: {dtype: float23}", "1: defaults.dtype: unknown dtype 'float23'; did you mean 'float32'? valid: float16, float32, float64"),
    ("defaults: {boundary: mirror}", "1: defaults.boundary: unknown boundary 'mirror'; valid: edge, reflect, symmetric, wrap, zero"),
    ("defaults: {padding: some}", "1: defaults.padding: unknown padding 'some'; did you mean 'same'? valid: full, same, valid"),
    ("defaults: {filter: gausian}", f"1: defaults.filter: unknown filter 'gausian'; did you mean 'gaussian:<number>'? valid: {FILTERS}"),
    ("defaults: {filter: gaussian}", f"1: defaults.filter: filter 'gaussian' is unknown; valid: {FILTERS}"),
    ("defaults: {direction: back}", "1: defaults.direction: unknown direction 'back'; valid: backward_data, backward_weights, forward"),
    (GOOD + "device: tpu", "2: device: unknown device 'tpu'; did you mean 'cpu'? valid: cpu, cuda"),
    (GOOD + "input: sample:hopper", "2: input: unknown sample 'sample:hopper'; did you mean 'sample:grace_hopper.jpg'? valid: sample:grace_hopper.jpg"),
    (GOOD + "input: nowhere.png", "2: input: no such file: nowhere.png"),
    ("shapes_from: nowhere.csv", "1: shapes_from: no such file: nowhere.csv"),
    (GOOD + "crossovers: {axis: kernl, from: a, to: b}", "2: crossovers.axis: unknown axis 'kernl'; did you mean 'kernel'? valid: kernel"),
    (GOOD + "crossovers: {axis: image, from: a, to: b}", "2: crossovers.axis: unknown axis 'image'; valid: kernel"),
    (GOOD + "crossovers: {axis: kernel, from: a, to: a}", "2: crossovers.to: a crossover is between two different algorithms"),
    ("shapes: n1c1h8w8k1r3s3\ncrossovers: {axis: r, from: a, to: b}", "2: crossovers.axis: no axis is swept over two numbers or more"),
    # problems that cannot exist
    ("sweep:\n  image: [64, 8]\n  kernel: 11", "1: sweep: image=8 kernel=11: the output is empty: H=8 with padding 0+0 is smaller than the filter's extent 11"),
    ("shapes:\n- {image: 8, kernel: 3}\n- {h: 8, kernel: 3}", "3: shapes[1]: h=8 kernel=3: w not given: set image (h and w)"),
    ("sweep: {image: 8}", "1: sweep: image=8: r and s not given: set kernel (r and s) or sigma"),
    ("sweep: {image: 8, h: 9, kernel: 3}", "1: sweep: image=8 h=9 kernel=3: image and h both set h"),
    ("sweep: {image: 8, kernel: 3, channels: 3, groups: 2}", "1: sweep: image=8 kernel=3 channels=3 groups=2: groups=2 does not divide c=3"),
    ("strict_geometry: true\ndefaults: {stride: 2}\nshapes:\n- {image: 7, kernel: 3}\n- {image: 8, kernel: 3}", "5: shapes[1]: n1c1h8w8k1r3s3+stride=2: the stride does not divide evenly, which strict_geometry asks for"),
    # nothing, and too much
    ("", "1: the file is empty"),
    ("# only a comment\n", "1: the file is empty"),
    ("name: x", "1: the suite names no cell: give sweep, shapes or shapes_from"),
    ("name: x\nsweep: {}", "2: sweep: expected at least one axis, such as kernel: [3, 5, 7]"),
    ("sweep:\n  image: 8\n  kernel: []", "3: sweep.kernel: expected at least one value"),
    (GOOD + "algorithms: []", "2: algorithms: expected at least one value"),
    ("sweep: {image: 8, kernel: {from: 9, to: 3, step: 1}}", "1: sweep.kernel: the range is empty: from 9 to 3"),
    ("sweep: {image: 8, kernel: {from: 3, to: 9}}", "1: sweep.kernel: a range needs exactly one of step, factor, count, not none"),
    ("sweep: {image: 8, kernel: {from: 3, to: 9, step: 0}}", "1: sweep.kernel: step: expected a number above 0, at most 2147483647, not 0"),
    ("sweep: {image: 8, kernel: {from: 3, to: 9, factor: 1}}", "1: sweep.kernel: factor: expected a number above 1, not 1"),
    ("sweep: {image: 8, kernel: {from: 3, to: 9, count: 1}}", "1: sweep.kernel: count: expected a whole number of at least 2, not 1"),
    ("sweep: {image: 8, sigma: {from: 1, to: 2, step: 0.0000001}}", "1: sweep.sigma: the range has more than 10,000 values"),
    ("sweep: {image: 8, sigma: {from: 1, to: 2, factor: 1.0000000001}}", "1: sweep.sigma: the range has more than 10,000 values"),
    ("sweep: {n: {from: 1, to: 1000, step: 1}, c: {from: 1, to: 1000, step: 1}, image: 8, kernel: 3}", "1: sweep: 1,000,000 cells are more than 100,000: the axes' product is too large"),
    ("sweep: {image: 1" + 400 * "0" + ", kernel: 3}", "1: 10000000000000000000000… has more than 18 digits"),
    ("sweep: {image: 8, sigma: 1e999}", "1: 1e999 is not a finite number"),
    ("sweep: {image: 8, sigma: .nan}", "1: .nan is not a finite number"),
    # YAML
    ("name: a\n\tsweep: b", "2: not valid YAML: while scanning for the next token, found character '\\t' that cannot start any token"),
    ("name: 'a", "1: not valid YAML: while scanning a quoted scalar, found unexpected end of stream"),
    ("name: a\n---\nname: b", "2: not valid YAML: expected a single document in the stream, but found another document"),
    ("name: *b", "1: not valid YAML: found undefined alias 'b'"),
    ("name: x\nsweep: &a [*a]", "2: not valid YAML: *a contains itself"),
    ("name: x\nsweep: " + 200_000 * "[", "2: not valid YAML: nested more than 32 deep"),
    ("name: !!python/object/apply:os.system [echo]", "1: the tag '!!python/object/apply:os.system' is not allowed: a suite is plain data"),
    ("name: x\nseed: !!int 0x10", "2: the tag '!!int' is not allowed: a suite is plain data"),
    ('name: "\\ud800"', "1: not valid YAML: half of a surrogate pair"),
    ('name: "\\UFFFFFFFF"', "1: not valid YAML: Python int too large to convert to C int"),
    ("name: x\nseed: \x07", "2: not valid YAML: the character 0x7 is not allowed"),
]  # fmt: skip


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
    if problem.endswith("valid: batch"):  # a long list of choices, of which the start is enough
        assert message(Path("s.yaml")).startswith(f"s.yaml:{problem}")
    else:
        assert message(Path("s.yaml")) == f"s.yaml:{problem}"


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
    assert message(Path("x" * 5000)).endswith("cannot be read: File name too long")


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
        ("h,w,r,sss\n", "1: unknown column 'sss'; did you mean 's'? valid: c, dilation"),
        ("h,w,r\n", "1: the column 's' is missing"),
        ("h,h,w,r,s\n", "1: the column 'h' is given twice"),
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
WORDS = st.sampled_from(
    ["sweep", "shapes", "defaults", "image", "kernel", "sigma", "threads", "algorithms", "crossovers", "axis", "from", "to", "step", "factor", "count", "name", "weight", "tag", "all", "same", "3", "0", "-1", "1.5", "1e400", ".inf", ".nan", "0x10", "010", "~", "true", "null", "n1c1h8w8k1r3s3", "8x9", "&a", "*a", "!!python/name:os.system", "!!set", "!!binary", "!x", "%YAML", "%TAG", "---", "...", "?", ":", "-", ",", "[", "]", "{", "}", "|", ">", "'", '"', "#", "@", "`", "\t", "\r", "\n", "<<", "=", "\\x", "\\ud83d", "\\U00110000", "\x00", "\x85", "\u2028", "\ufeff", "é", "😀"]
)  # fmt: skip
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
        assert suite.cells(2)
        suite.select({name: frozenset({"cpu"}) for name in ("naive", "direct", "fft")})
    except SuiteError as error:
        line = str(error)
        assert line.isprintable()
        assert line.startswith(f"{path}:")
        assert line.removeprefix(f"{path}:").split(":")[0].isdigit()


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
    try:
        load_suite(tmp_path / "s.yaml")
    except SuiteError as error:
        assert str(error).isprintable()
