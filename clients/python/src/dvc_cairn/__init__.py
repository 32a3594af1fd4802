"""The protocol of a Cairn server for a stock dvc, behind the same remote URL."""

__version__ = "0.1.0"
