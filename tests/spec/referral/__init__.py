"""Referral: who may refer, what must be said, and what may happen next."""
