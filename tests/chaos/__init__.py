"""The promises under failures: all parts are killed at random, and no accepted scan is lost."""
