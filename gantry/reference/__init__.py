"""Dated facts: tables with a source and a valid-from, read into the domain."""
