"""Which algorithms are imported: all that there are, or only those that a process is asked for."""

import subprocess
import sys

import pytest

import convbench_algorithms
from convbench import catalog
from convbench.errors import ConvbenchError


def test_each_line_bears_the_name_of_its_algorithm() -> None:
    lines = [line.partition(" = ") for line in convbench_algorithms.BUILTIN]
    known = catalog.builtin()
    assert [name for name, _, _ in lines] == list(known)
    for name, _, place in lines:
        assert (known[name].name, f"{type(known[name]).__module__}:{type(known[name]).__name__}") == (name, place)


def test_a_line_with_another_name_is_told(monkeypatch) -> None:
    monkeypatch.setattr(convbench_algorithms, "BUILTIN", ("plain = convbench_algorithms.naive:Naive",))
    with pytest.raises(ConvbenchError, match=r"naive:Naive: its name is 'naive', and 'plain' in the list"):
        catalog.builtin()["plain"]


@pytest.mark.parametrize(
    "use",
    [
        "print(*catalog.chosen([], ['naive', 'unknown']))",
        "print(catalog.load()['naive'].name)",
        "print(*runs.selected(runs.suite_of('tiny.yaml'), catalog.load(), runs.Wishes()))",
        "spec = ConvSpec(h=9, w=9, r=3, s=3)\n"
        "print(api.prepare(spec, np.ones(spec.prepared_shape, spec.dtype), algorithm='naive').algorithm)",
    ],
)
def test_who_names_an_algorithm_imports_no_other(tmp_path, use) -> None:
    """FFTW brings SciPy and Dask along: half a second in each process of a suite that has no FFT."""
    (tmp_path / "tiny.yaml").write_text("shapes: [n1c1h9w9k1r3s3]\nalgorithms: [naive]\n", encoding="utf-8")
    before = "import sys; import numpy as np; from convbench import api, catalog, runs"
    words = f"{before}; from convbench.spec import ConvSpec\n{use}\nprint('pyfftw' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["naive", "False"]


def test_lines_of_a_commit_before_they_had_names(monkeypatch) -> None:
    monkeypatch.setattr(convbench_algorithms, "BUILTIN", ("convbench_algorithms.naive:Naive",))
    assert list(catalog.chosen([], ["direct"])) == []
    assert list(catalog.chosen([], ["naive"])) == ["naive"]
