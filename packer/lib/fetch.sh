# shellcheck shell=bash
# The one way in for what neither apt nor pip brings.

die() {
    echo "provision: $*" >&2
    exit 1
}

# fetch URL SHA256 FILE: FILE is there whole and as pinned, or this fails. MAYFLY_MIRROR is a URL (https, http or file)
# under which the same files lie by host and path: MAYFLY_MIRROR/releases.hashicorp.com/consul/…
fetch() {
    local url=$1 pin=$2 file=$3 from=$1 protocols='=https' found
    [[ $pin =~ ^[0-9a-f]{64}$ ]] || die "the SHA-256 of $url is ${pin:-missing}: 64 hex digits are needed, see README.md"
    if [[ -n ${MAYFLY_MIRROR:-} ]]; then
        from=${MAYFLY_MIRROR%/}/${url#https://}
        protocols='=https,http,file'
    fi
    curl --fail --silent --show-error --location --proto "$protocols" --retry 3 --connect-timeout 20 --max-time 1800 \
        --output "$file.part" "$from" || die "cannot download $from"
    found=$(sha256sum "$file.part" | cut -d ' ' -f 1)
    if [[ $found != "$pin" ]]; then
        rm -f "$file.part"
        die "$from has the SHA-256 $found, not the pinned $pin"
    fi
    mv "$file.part" "$file"
}
