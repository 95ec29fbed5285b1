"""Which algorithms are imported: all that there are, or only those that a process is asked for."""

import subprocess
import sys

import convbench_algorithms
from convbench import catalog


def test_each_line_bears_the_name_of_its_algorithm() -> None:
    lines = [line.partition(" = ") for line in convbench_algorithms.BUILTIN]
    assert [name for name, _, _ in lines] == list(catalog.builtin())
    for name, _, place in lines:
        (found,) = catalog.builtin({name}).values()
        assert (found.name, f"{type(found).__module__}:{type(found).__name__}") == (name, place)


def test_a_process_imports_what_it_is_asked_for_and_no_more() -> None:
    """FFTW brings SciPy and Dask along: half a second in each process of a suite that has no FFT."""
    words = (
        "import sys; from convbench import catalog; print(*catalog.load([], ['naive'])); print('pyfftw' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["naive", "False"]


def test_lines_of_a_commit_before_they_had_names_are_all_imported(monkeypatch) -> None:
    monkeypatch.setattr(convbench_algorithms, "BUILTIN", ("convbench_algorithms.naive:Naive",))
    assert list(catalog.builtin({"direct"})) == ["naive"]
