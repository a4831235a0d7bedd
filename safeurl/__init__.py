"""SafeURL: a self-hosted scanner that opens suspicious URLs in disposable sandboxes."""

__version__ = "0.1.0"
