"""The rows as CSV, Parquet or JSON, columns in the record's order.

CSV, which every run leaves, is written without pandas: its import takes longer than a small run's other work.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from convbench.errors import ConvbenchError, choices
from convbench.result import DuelRow, Row

if TYPE_CHECKING:
    import pandas as pd

FORMATS: Final = ("csv", "parquet", "json")

_WHOLE: Final = ("samples", "workspace_bytes", "peak_rss_bytes", "passes", "device_bytes", "operations")


def frame(rows: Sequence[Row | DuelRow], kind: type[Row | DuelRow]) -> pd.DataFrame:
    """One line a row; whole numbers stay whole where some are missing."""
    import pandas as pd

    columns = list(kind.model_fields)
    table = pd.DataFrame([row.model_dump(mode="json") for row in rows], columns=columns)
    return table.astype({name: "Int64" for name in _WHOLE if name in columns})


def export(rows: Sequence[Row] | Sequence[DuelRow], path: Path | None = None, form: str = "csv") -> None:
    """Write the rows to a file, or to standard output.

    Raises `ConvbenchError` for an unknown format, for Parquet without pyarrow, and for a file that cannot be written.
    """
    if form not in FORMATS:
        raise ConvbenchError(f"format '{form}' is unknown; valid: {choices(FORMATS)}")
    kind = type(rows[0]) if rows else Row
    content = _csv(rows, kind) if form == "csv" else _content(frame(rows, kind), form)
    if path is None:
        sys.stdout.buffer.write(content)
        return
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConvbenchError(f"cannot write {path}: {error.strerror}") from error


def _csv(rows: Sequence[Row | DuelRow], kind: type[Row | DuelRow]) -> bytes:
    """The same bytes as `frame(rows, kind).to_csv(index=False)`; what is missing is left empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(kind.model_fields), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        values = row.model_dump(mode="json").items()
        writer.writerow({name: None if value != value else value for name, value in values})  # NaN
    return stream.getvalue().encode()


def _content(table: pd.DataFrame, form: str) -> bytes:
    if form == "json":
        return table.to_json(orient="records", indent=1, force_ascii=False, double_precision=15).encode()
    content = io.BytesIO()
    try:
        table.to_parquet(content, index=False)
    except ImportError as error:
        raise ConvbenchError("writing parquet needs pyarrow: pip install 'convbench[parquet]'") from error
    return content.getvalue()
