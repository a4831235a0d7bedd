"""What runs inside a sandbox for the doctor: tries what hostile code would, and says what it saw.

These modules are sent as text into a container of the fetcher's image: they import the standard
library and each other, and judge nothing. Each vector returns facts that are plain JSON.
"""
