"""Telling patients: by which way, in which words, and until when it can be undone."""
