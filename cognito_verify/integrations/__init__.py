"""The same verified token in web frameworks: one file or folder each, which imports its own framework and no other."""
