"""The warm pool of a host: sandboxes that are started ahead of the attempts that use them."""
