"""The use cases: what people and workers ask of SafeURL, one module per verb."""
