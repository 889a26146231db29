"""What the manual's figures come from: `python -m benchmarks`, which measures side by side and fails on nothing."""
