# What opens a page: Python, the fetcher and the few modules of ours which it may know. No shell script, no secret,
# no set-uid program; everything compiled, because its root is read-only and it must be ready at once.
# The context is laid out by docker/lib/images.sh: site/ holds the locked wheels, app/ our code.
ARG BASE_IMAGE=safeurl-base:latest
FROM ${BASE_IMAGE}
COPY site /opt/safeurl
RUN ["python3", "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "/opt/safeurl"]
COPY app /opt/safeurl
RUN ["python3", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "/opt/safeurl/safeurl", "/opt/safeurl/fetcher"]
ENV PYTHONPATH=/opt/safeurl PYTHONDONTWRITEBYTECODE=1
# Every module must load with what is here: nothing else of ours, no library missing.
RUN ["python3", "-P", "-c", "import fetcher, importlib, pkgutil; [importlib.import_module(m.name) for m in pkgutil.walk_packages(fetcher.__path__, 'fetcher.') if not m.name.endswith('__main__')]"]
WORKDIR /
USER 65534:65534
# -P: the working directory is no place to import from.
ENTRYPOINT ["python3", "-P", "-m", "fetcher"]
