"""The adapters: one package per external system; each implements ports."""
