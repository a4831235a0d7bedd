"""The probe runs inside a sandbox: it tries what hostile code would try, and reports the results.

These modules are sent as text into a container of the fetcher's image. They import the standard
library and each other only, and evaluate nothing. Each vector returns facts as plain JSON.
"""
