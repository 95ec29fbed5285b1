"""Suites: YAML files that name cells and contenders; every error names file:line and the valid choices.

yaml_lines    YAML with the line of every entry, and limits        values     one value of a suite
axes          sweeps, and settings to a spec                       layers     a network's layers, as they are written
file          the model of a file, its JSON Schema                 geometry   what each layer takes, does and gives
shape_table   CSV files of shapes                                  network    a suite's network
expand        a file's cells                                       claims     what people say, with a figure for it
suite         what the rest of convbench uses
"""

from convbench.suite.file import suite_schema
from convbench.suite.geometry import JOINS, Layer
from convbench.suite.network import Network
from convbench.suite.suite import Suite, find_suite, load_suite, shape_table_file, shipped_suites, suite_from_spec

__all__ = [
    "JOINS",
    "Layer",
    "Network",
    "Suite",
    "find_suite",
    "load_suite",
    "shape_table_file",
    "shipped_suites",
    "suite_from_spec",
    "suite_schema",
]
