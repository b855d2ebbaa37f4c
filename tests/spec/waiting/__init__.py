"""Waiting: whose clock it is, and who comes first."""
