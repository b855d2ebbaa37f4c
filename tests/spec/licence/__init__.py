"""Licences and authorisation: who may be scanned, where, and until when."""
