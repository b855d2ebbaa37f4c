"""Memory and pages: one thin Django app per context, importing downward only."""
