"""The version of tidewaiter, read by the build and printed by `tidewaiter --version`."""

__version__ = "0.1.0"
