"""Gantry runs a networked PET-CT scanning service."""
