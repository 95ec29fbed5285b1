"""The report's files: complete, escaped, offline, and small enough."""

import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from rich.console import Console

from analysis.synthetic import Synthetic, block, failed, kernel_cells, power_law
from convbench.errors import ConvbenchError
from convbench.report import print_summary, write_report
from convbench.report.answers import Answers
from convbench.report.folder import write_comparison, write_tables
from convbench.report.html import page
from convbench.report.markdown import escape, summary
from convbench.report.speedup_maps import speedup_maps
from convbench.report.tabular import export, frame
from convbench.report.trade_offs import trade_off_lines, without_choice
from convbench.result import Cell, Crossing, Row, Status
from convbench.spec import ConvSpec

KERNELS = [3, 7, 15, 31, 63]
TIMES = {
    "direct": power_law(1e-3, 20, 2.0),
    "fft": power_law(1e-3, 20, 0.1),
    "wrong": lambda cell: 1e-9,
    "absent": lambda cell: 1.0,
}
RUN = Synthetic(
    TIMES, kernel_cells(KERNELS) + kernel_cells(KERNELS, threads=2), [Crossing(axis="kernel", start="direct", to="fft")]
)
NASTY = "<script>alert('x')</script>"


def blocks(run=RUN):
    kept = [b for b in run.blocks() if b.algorithm in ("direct", "fft")]
    return kept + [failed(cell, "wrong", 0, Status.DISAGREED, f"far off {NASTY}") for cell in run.cells]


class Reader(HTMLParser):
    """Notes what is open, what is referred to, and which ids there are."""

    VOID = ("meta", "link", "input", "br", "wbr", "hr", "img")

    def __init__(self, text):
        super().__init__()
        self.open, self.references, self.ids, self.scripts, self.wrong = [], [], [], 0, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.references += [named[key] for key in ("href", "src", "action", "data", "srcset") if named.get(key)]
        self.ids += [named["id"]] if "id" in named else []
        self.scripts += tag == "script"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append((tag, self.getpos()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("run")
    info = RUN.info(
        suite_name=f"name {NASTY}",
        suite_description=NASTY,
        suite_text=NASTY,
        machine={"cpu": NASTY, "cache": {"L1": 1}, "memory_bytes": 2**33},
        notes=(NASTY,),
        versions={"python": NASTY},
    )
    write_report(path, info, blocks())
    return path


def test_all_files_are_written(folder):
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {
        "results.csv",
        "summary.md",
        "report.html",
        "figures/time-1thread.svg",
        "figures/time-2threads.png",
    } <= found


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(folder):
    text = (folder / "report.html").read_text()
    reader = Reader(text)
    assert reader.wrong == []
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids))
    assert all(reference.startswith(("#", "data:")) for reference in reader.references)
    assert {reference[1:] for reference in reader.references if reference.startswith("#")} <= set(reader.ids)
    assert not re.search(r"https?://", text.replace("http://www.w3.org/2000/svg", "a name, not an address"))
    assert not re.search(r"@import|url\((?!#)", text)


def test_names_with_html_in_them_are_text(folder):
    text = (folder / "report.html").read_text()
    assert Reader(text).scripts == 2
    assert text.count("&lt;script&gt;alert") >= 7
    markdown = (folder / "summary.md").read_text()
    assert "<script>" not in markdown.replace("\\<", "")


def test_the_page_says_what_there_is_to_say(folder):
    text = (folder / "report.html").read_text()
    for words in (
        "overtakes direct at kernel",
        "What was not measured",
        "the run ended before its turn",
        "far off",
        "--algorithms fft --threads 2",
        "prefers-color-scheme: dark",
    ):
        assert words in text


def test_speed_ups_are_against_a_base_that_the_reader_picks():
    run = Synthetic({"direct": TIMES["direct"], "fft": TIMES["fft"], "library": lambda cell: 9e-3}, RUN.cells)
    answers = Answers(run.info(tags={"library": ("peer",)}), run.blocks())
    found = dict(speedup_maps(answers))
    assert list(found) == ["library", "direct", "fft"]
    one_thread, two_threads = found["direct"]
    assert (one_thread.title, two_threads.title) == ("1 thread", "2 threads")
    looks = [square.look for _, row in one_thread.rows for square in row]
    assert looks[0] == "behind"
    assert looks[-1] == "far"
    assert re.fullmatch(r"[\d.]+×", one_thread.rows[0][1][0].text)
    text = page(answers)
    assert text.count('<option value="speedups-') == 3
    assert len(re.findall(r'<div id="speedups-\d" hidden>', text)) == 2


def test_speed_ups_of_many_cells_are_of_the_libraries_first_and_of_no_more_than_fit(monkeypatch):
    monkeypatch.setattr("convbench.report.speedup_maps.MOST_SQUARES", len(RUN.cells))
    run = Synthetic({"direct": TIMES["direct"], "fft": TIMES["fft"]}, RUN.cells)
    assert [base for base, _ in speedup_maps(Answers(run.info(tags={"fft": ("peer",)}), run.blocks()))] == ["fft"]


def test_trade_offs_name_whom_none_beats_and_who_is_beaten():
    cell = RUN.cells[0]
    sizes = {"fast": (1e-3, 2**20), "small": (2e-3, 2**10), "bad": (3e-3, 2**20)}
    run = Synthetic({name: lambda cell, s=seconds: s for name, (seconds, _) in sizes.items()}, [cell])
    held = [one.model_copy(update={"workspace_bytes": sizes[one.algorithm][1]}) for one in run.blocks()]
    (line,) = trade_off_lines(Answers(run.info(), held))
    assert [value.text for value in line][3:] == ["small, 1.00 KiB", "–", "–", "bad"]
    assert line[2].text.startswith("fast, ")
    assert line[6].hint == "bad by fast"
    alone = [one for one in held if one.algorithm != "small"]
    assert without_choice(Answers(run.info(), alone)).endswith("fast in 1 cell.")


def test_a_full_sweep_fits_in_three_megabytes():
    cells = [
        cell
        for threads in (1, 2)
        for image in (256, 512, 1024, 2048)
        for cell in kernel_cells([3, 5, 7, 9, 11, 15, 21, 31, 45, 63], image, threads)
    ]
    run = Synthetic(
        {f"algorithm_number_{i}": power_law(1e-3, 10 + i, 0.2 * i) for i in range(10)}, cells, passes=2, samples=3
    )
    text = page(Answers(run.info(), run.blocks()))
    assert len(text.encode()) < 3_000_000


def test_an_empty_run_still_gets_a_report(tmp_path):
    write_report(tmp_path / "new", RUN.info(), [])
    assert "Nothing was timed" in (tmp_path / "new" / "report.html").read_text()


def test_one_pass_is_called_one_pass_and_shows_no_interval(tmp_path):
    run = Synthetic({"direct": power_law(1e-3, 20, 2.0), "fft": power_law(1e-3, 20, 0.1)}, RUN.cells, passes=1)
    write_tables(tmp_path, run.info(crossings=RUN.crossings), run.blocks())
    table = pd.read_csv(tmp_path / "results.csv")
    assert table["ci_low_s"].isna().all()
    assert table["median_s"].notna().all()
    assert "one pass has no interval" in (tmp_path / "summary.md").read_text()


def test_the_first_sentence_says_who_wins_and_how_surely():
    def first(passes, **seconds):
        times = {name: (lambda cell, value=value: value) for name, value in seconds.items()}
        run = Synthetic(times, kernel_cells([3, 5]), passes=passes, pass_noise=1e-3)
        return Answers(run.info(), run.blocks()).sentences()[0]

    assert first(5, a=1.0, b=2.0) == "Of 2 cells, the fastest is a in 2."
    assert first(1, a=1.0, b=2.0) == "After one pass over 2 cells, and so without intervals, the fastest is a in 2."
    same = Synthetic(dict.fromkeys("ab", lambda cell: 1.0), kernel_cells([3, 5]), pass_noise=0.0, sample_noise=0.0)
    assert Answers(same.info(), same.blocks()).sentences()[0] == "The leaders cannot be told apart in any of 2 cells."


def test_csv_has_the_columns_in_order_and_whole_numbers_whole(folder):
    table = pd.read_csv(folder / "results.csv", dtype=str, keep_default_na=False)
    assert list(table.columns) == list(Row.model_fields)
    assert len(table) == len(RUN.cells) * len(TIMES)
    assert set(table["status"]) == {"passed", "disagreed", "not_reached"}
    assert table.loc[table["status"] == "passed", "workspace_bytes"].eq("1048576").all()


def test_json_export_round_trips(tmp_path):
    rows = Answers(RUN.info(), blocks()).rows
    export(rows, tmp_path / "rows.json", "json")
    loaded = json.loads((tmp_path / "rows.json").read_text())
    assert [Row(**one).algorithm for one in loaded] == [row.algorithm for row in rows]
    assert loaded[0]["median_s"] == pytest.approx(rows[0].median_s, rel=1e-12)


def test_csv_is_what_pandas_would_write(tmp_path):
    first, *others = Answers(RUN.info(), blocks()).rows
    awkward = first.model_copy(
        update={"reason": 'a "quote", and\na line', "error": float("nan"), "operations": 2**40 + 1}
    )
    export([awkward, *others], tmp_path / "rows.csv")
    expected = frame([awkward, *others], Row).to_csv(index=False, lineterminator="\n")
    assert (tmp_path / "rows.csv").read_text() == expected


def test_export_to_nowhere_is_standard_output(capsysbinary):
    export(Answers(RUN.info(), []).rows)
    assert capsysbinary.readouterr().out.startswith(b"spec,algorithm,device,threads,status,reason,n,c,h,w,")


def test_export_errors_are_one_line(tmp_path):
    with pytest.raises(ConvbenchError, match="format 'xlsx' is unknown; valid: csv, json, parquet"):
        export([], tmp_path / "x", "xlsx")
    with pytest.raises(ConvbenchError, match="cannot write"):
        export([], tmp_path / "no" / "where.csv")


def test_parquet_without_pyarrow_names_the_extra(tmp_path, monkeypatch):
    def unavailable(self, *args, **kwargs):
        raise ImportError

    monkeypatch.setattr(pd.DataFrame, "to_parquet", unavailable)
    with pytest.raises(ConvbenchError, match=r"pip install 'convbench\[parquet\]'"):
        export([], tmp_path / "x.parquet", "parquet")


def test_the_summary_is_markdown_with_the_answers_first():
    text = summary(Answers(RUN.info(), blocks()))
    assert text.startswith("# synthetic\n")
    assert text.index("fft overtakes direct") < text.index("## Fastest")
    assert "| wrong | disagreed |" in text
    widths = {line.count("|") - line.count("\\|") for line in text.splitlines() if line.startswith("| wrong")}
    assert widths == {5}


def test_markdown_keeps_names_readable_and_markup_dead():
    assert escape("fft_overlap_add") == "fft_overlap_add"
    assert escape("_a_ |<b>*x*\n`y`") == "\\_a\\_ \\|\\<b\\>\\*x\\* \\`y\\`"


def test_no_disagreed_contender_is_named_a_winner():
    answers = Answers(RUN.info(), blocks())
    assert all("wrong" not in best.tied for best in answers.winners.values())
    assert "not ranked where they disagreed: wrong" in " ".join(answers.sentences())


@pytest.mark.parametrize("terminal", [True, False])
def test_the_terminal_has_winners_crossovers_failures_and_the_share_of_time(terminal, tmp_path):
    with (tmp_path / "out").open("w+") as file:
        print_summary(
            Console(file=file, force_terminal=terminal, width=100), RUN.info(options={"wall_s": 99}), blocks()
        )
        file.seek(0)
        text = file.read()
    for words in ("fft overtakes direct at kernel", "wrong", "disagreed", "time: 99.0 s"):
        assert words in text
    assert ("\x1b[" in text) is terminal
    assert ("─" in text or "━" in text) is terminal


def test_shapes_have_totals_by_weight():
    cells = [Cell(spec=ConvSpec(h=h, w=h, r=3, s=3), name=f"layer {h}", weight=w) for h, w in ((8, 2.0), (16, 1.0))]
    made = [block(cell, name, i, [time]) for cell in cells for i in range(2) for name, time in (("a", 1.0), ("b", 2.0))]
    made += [block(cells[0], "c", 0, [0.5])]
    run = Synthetic(dict.fromkeys("abc", lambda cell: 1.0), cells)
    ((_, found),) = Answers(run.info(), made).totals
    assert [(total.algorithm, total.time.value) for total in found] == [
        (None, pytest.approx(2.0)),
        ("a", pytest.approx(3.0)),
        ("b", pytest.approx(6.0)),
    ]
    assert [total.behind.value for total in found] == pytest.approx([1.0, 1.5, 3.0])


def test_a_list_of_shapes_says_what_the_best_of_each_saves_and_how_far_libraries_are_behind():
    cells = [Cell(spec=ConvSpec(h=h, w=h, r=3, s=3), name=f"layer {h}") for h in (8, 16)]
    times = {
        "small": lambda cell: 1e-3 if cell.spec.h == 8 else 3e-3,
        "large": lambda cell: 3e-3 if cell.spec.h == 8 else 1e-3,
        "library": lambda cell: 3e-3,
    }
    run = Synthetic(times, cells, pass_noise=0.001, sample_noise=0.001, drift=0.0)
    answers = Answers(run.info(tags={"library": ("peer",)}), run.blocks())
    sentence = next(one for one in answers.sentences() if "all shapes take" in one)
    assert re.search(r"take 4\.\d+ ms .* with \w+ alone, (1\.99|2\.0\d*) ms with the best of each", sentence)
    assert re.search(r"of each: (1\.99|2\.0\d)× .* as fast;", sentence)
    assert re.search(r"against that mix, library (2\.99|3\.0\d)× .* the time\.$", sentence)
    assert "| library | 6.0" in summary(answers)


def test_runs_are_compared_with_the_first(tmp_path):
    slower = Synthetic({name: lambda cell, t=t: 2 * t(cell) for name, t in TIMES.items()}, RUN.cells, RUN.crossings)
    path = tmp_path / "both.html"
    write_comparison(path, [("base", RUN.info(), blocks()), (f"new {NASTY}", slower.info(), blocks(slower))])
    text = path.read_text()
    assert Reader(text).wrong == []
    assert Reader(text).scripts == 1
    assert len(re.findall(r"(1\.9|2\.0)\d× \([\d.–]+\) slower", text)) >= 15
    same = tmp_path / "same.html"
    write_comparison(same, [("base", RUN.info(), blocks()), ("again", RUN.info(), blocks())])
    assert " slower</td>" not in same.read_text()


def test_a_comparison_of_one_run_is_its_report(tmp_path):
    write_comparison(tmp_path / "one.html", [("only", RUN.info(), blocks())])
    assert "All results" in (tmp_path / "one.html").read_text()
