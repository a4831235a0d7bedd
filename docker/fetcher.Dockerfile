# What opens a page: the Python interpreter, the libraries it needs, the fetcher and the few modules of ours which it
# may know. No shell, no package manager, no other program; everything compiled, because its root is read-only and it
# must be ready at once. The context is laid out by docker/lib/images.sh: site/ holds the locked wheels, app/ our code.
ARG BASE_IMAGE=safeurl-base:latest
FROM ${BASE_IMAGE}
# By this label images.sh finds the stage and removes it.
LABEL safeurl.stage=fetcher
COPY site /opt/safeurl
COPY app /opt/safeurl
COPY fetcher_tree.py fetcher_bundle.py fetcher_start.py /
# Loads every module of the fetcher inside the new tree: nothing else of ours, no library missing.
RUN ["python3", "/fetcher_tree.py", "/tree"]

FROM scratch
COPY --from=0 /tree /
ENV PATH=/usr/local/bin:/usr/bin PYTHONPATH=/opt/safeurl PYTHONDONTWRITEBYTECODE=1
WORKDIR /
USER 65534:65534
# -I: nothing of the environment or the working directory. -S: no search for packages. -B: no bytecode is written.
# `python3 -P -m fetcher` does the same, and takes half as long again to start.
ENTRYPOINT ["python3", "-I", "-S", "-B", "/opt/safeurl/start.pyc"]
