"""What people see of a run: figures, HTML, Markdown, the terminal."""

from convbench.report.folder import print_summary, write_report

__all__ = ["print_summary", "write_report"]
