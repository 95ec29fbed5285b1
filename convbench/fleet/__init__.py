"""A run on many machines: passes are handed out to the hosts of a Dask cluster, and come home cell by cell."""

from convbench.fleet.cluster import Cluster
from convbench.fleet.fleet import Fleet

__all__ = ["Cluster", "Fleet"]
