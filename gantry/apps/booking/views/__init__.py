"""The booking coordinator's pages: the worklist, one scan to book, one appointment to keep."""
