"""The same verified token in web frameworks: one file each, which imports its own framework and no other."""
