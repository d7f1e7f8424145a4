# shellcheck shell=bash
# Debian's packages, users and folders.

install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -q -y --no-install-recommends \
        ca-certificates curl git nftables openjdk-17-jdk-headless openssh-client python3 python3-venv r-base-core unzip
}

# The agent is root. A job is somebody's code and has a user of its own: no password, no shell.
make_users() {
    local user
    for user in mayfly-job mayfly-consul; do
        id -u "$user" >/dev/null 2>&1 \
            || useradd --system --user-group --no-create-home --home-dir "/var/lib/$user" --shell /usr/sbin/nologin "$user"
        install -d -m 0700 -o "$user" -g "$user" "/var/lib/$user"
    done
}

make_folders() {
    install -d -m 0755 /opt/mayfly /opt/mayfly/bin /etc/mayfly
    # The agent opens to the job's user what is the job's.
    install -d -m 0700 /var/lib/mayfly
}

install_programs() {
    local name
    for name in agent coordinator; do
        [[ -f $1/$name ]] || die "there is no program $name in $1: build it with make build"
        install -m 0755 "$1/$name" "/opt/mayfly/bin/$name"
        "/opt/mayfly/bin/$name" --version || die "$name does not run here: it must be built for $(uname -m) and this glibc"
    done
    ln -sf /opt/mayfly/bin/coordinator /usr/local/bin/coordinator
}

install_units() {
    local unit
    install -m 0755 "$1/bin/past-deadline" /opt/mayfly/bin/past-deadline
    for unit in "$1"/units/*; do
        install -m 0644 "$unit" "/etc/systemd/system/${unit##*/}"
    done
    systemctl enable mayfly-agent.service mayfly-consul.service mayfly-boot.timer mayfly-deadline.timer
    # An upgrade at boot would cost time, and a new Java would not fit the class archive any more.
    systemctl mask apt-daily.timer apt-daily-upgrade.timer unattended-upgrades.service
}
