"""The use cases of people and workers, one module per verb."""
