"""Analysis tests, and the synthetic runs that they share with the report's."""
