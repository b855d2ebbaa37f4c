"""Decisions. Standard library only; told the time; no input or output."""
