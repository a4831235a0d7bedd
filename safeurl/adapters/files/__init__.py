"""The state folder: artefacts, the record of what runs, and the modes of files."""
