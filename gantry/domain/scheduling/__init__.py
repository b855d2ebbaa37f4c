"""A day of scans as a problem, a plan, and the judge of both."""
