# shellcheck shell=bash
# What a machine must not share with the others of its image.

seal() {
    apt-get clean
    rm -rf /var/lib/apt/lists/* /var/log/journal/* /root/.cache /root/.bash_history /home/*/.bash_history
    rm -f /etc/ssh/ssh_host_* /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys /var/lib/systemd/random-seed
    if command -v cloud-init >/dev/null; then
        cloud-init clean --logs
    fi
    : >/etc/machine-id
}
