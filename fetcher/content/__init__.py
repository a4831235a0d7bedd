"""Content of responses as browsers read it: compression, media types, character sets."""
