"""The rows as CSV, Parquet or JSON, columns in `Row`'s order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from convbench.errors import ConvbenchError, choices
from convbench.result import Row

FORMATS: Final = ("csv", "parquet", "json")

_WHOLE: Final = ("samples", "workspace_bytes", "peak_rss_bytes", "passes")


def frame(rows: Sequence[Row]) -> pd.DataFrame:
    """One row a cell and contender; whole numbers stay whole where some are missing."""
    table = pd.DataFrame([row.model_dump(mode="json") for row in rows], columns=list(Row.model_fields))
    return table.astype(dict.fromkeys(_WHOLE, "Int64"))


def export(rows: Sequence[Row], path: Path, form: str = "csv") -> None:
    """Write the rows. Raises `ConvbenchError` for an unknown format, or Parquet without pyarrow."""
    if form not in FORMATS:
        raise ConvbenchError(f"format '{form}' is unknown; valid: {choices(FORMATS)}")
    table = frame(rows)
    if form == "csv":
        table.to_csv(path, index=False, lineterminator="\n")
    elif form == "json":
        table.to_json(path, orient="records", indent=1, force_ascii=False, double_precision=15)
    else:
        try:
            table.to_parquet(path, index=False)
        except ImportError as error:
            raise ConvbenchError("writing parquet needs pyarrow: pip install 'convbench[parquet]'") from error
