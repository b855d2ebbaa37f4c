"""After a failure: what may be done only because somebody approved it."""
