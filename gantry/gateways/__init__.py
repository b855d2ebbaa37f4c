"""Doors: one package per protocol. They call apps and empty the outbox, never the reverse."""
