"""Suites: YAML files that name cells and contenders; every error names file:line and the valid choices.

yaml_lines    YAML with the line of every entry, and limits        values   one value of a suite
axes          sweeps, and settings to a spec                       file     the model of a file, its JSON Schema
shape_table   CSV files of shapes                                  expand   a file's cells
suite         what the rest of convbench uses
"""

from convbench.suite.file import suite_schema
from convbench.suite.suite import Suite, find_suite, load_suite, shape_table_file, shipped_suites, suite_from_spec

__all__ = ["Suite", "find_suite", "load_suite", "shape_table_file", "shipped_suites", "suite_from_spec", "suite_schema"]
