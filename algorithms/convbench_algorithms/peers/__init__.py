"""The libraries that a user would pick instead, each behind the one interface."""
