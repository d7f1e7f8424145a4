# shellcheck shell=bash
# Consul, from its publisher's archive.

install_consul() {
    local arch name zip
    arch=$(dpkg --print-architecture)
    name=consul_${CONSUL_VERSION}_linux_${arch}.zip
    zip=$1/consul.zip
    fetch "https://releases.hashicorp.com/consul/$CONSUL_VERSION/$name" "${CONSUL_SHA256:-}" "$zip"
    unzip -q -o "$zip" consul -d "$1"
    install -m 0755 "$1/consul" /opt/mayfly/bin/consul
    ln -sf /opt/mayfly/bin/consul /usr/local/bin/consul
    consul version | head -n 1
}
