# The base image where a registry (or BASE_IMAGE) provides Python: without installers, without set-uid programs,
# and with the standard library compiled, because sandboxes start cold and their root is read-only.
ARG SOURCE_IMAGE
FROM ${SOURCE_IMAGE}
USER root
RUN rm -rf /usr/local/lib/python3.*/site-packages/* /usr/local/bin/pip* /usr/local/bin/wheel \
        /var/lib/apt/lists/* /var/cache/* \
    && find / -xdev -perm /6000 -type f -exec chmod a-s {} + \
    && python3 -c 'import compileall, sysconfig; compileall.compile_dir(sysconfig.get_path("stdlib"), quiet=2)' \
    && python3 -c 'import sys, ssl; assert sys.version_info >= (3, 11)'
