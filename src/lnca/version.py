"""The version of lnca, after Semantic Versioning."""

__version__ = "0.1.0"
