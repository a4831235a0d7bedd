"""Bodies as browsers read them: decompression, media types, character sets."""
