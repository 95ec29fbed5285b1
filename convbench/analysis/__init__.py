"""Pure functions from a run's blocks to answers: statistics, crossovers, winners."""
