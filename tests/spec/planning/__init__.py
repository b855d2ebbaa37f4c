"""Planning a day: what counts most, and who stands for it."""
