"""SafeURL beside its rivals in one run: the same machine, page server and caps, by turns."""
