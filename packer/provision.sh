#!/usr/bin/env bash
# Makes a machine with Debian 12 into a node of Mayfly. Run as root:
#   provision.sh PROGRAMS    PROGRAMS is a folder with `agent` and `coordinator`, built for this machine
# Environment: CONSUL_SHA256, HADOOP_AWS_SHA256, AWS_SDK_SHA256 (needed), MAYFLY_MIRROR, and the versions in pins.env.
set -euo pipefail
umask 022
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=pins.env
. "$here/pins.env"
for part in fetch system consul spark seal; do
    # shellcheck source=/dev/null
    . "$here/lib/$part.sh"
done

[[ $# -eq 1 ]] || die "usage: provision.sh PROGRAMS"
[[ $(id -u) -eq 0 ]] || die "this must be run as root"
for pin in CONSUL_SHA256 HADOOP_AWS_SHA256 AWS_SDK_SHA256; do
    [[ -n ${!pin:-} ]] || die "$pin is not set; README.md has the command that prints it"
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

install_packages
make_users
make_folders
install_programs "$1"
install_consul "$work"
install_spark "$work"
install_units "$here"
seal
echo "provisioned: Spark $SPARK_VERSION, Consul $CONSUL_VERSION, $(/opt/mayfly/bin/agent --version)"
