"""Worker processes, and the coordinator that asks one of them at a time for one sample."""
