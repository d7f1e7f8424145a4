//! Variables of the environment that say how the network is reached. Programs that fetch something see them, on the way from
//! a command to its nodes as well: what was reached at the launch is reached there.

/// How a repository is reached: proxies, authorities that are trusted, keys for SSH.
pub const TO_REPOSITORIES: [&str; 12] = [
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "SSH_AUTH_SOCK",
];

/// What Python's packages want beside [`TO_REPOSITORIES`].
pub const TO_PACKAGES: [&str; 8] = [
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "PIP_FIND_LINKS",
    "PIP_CONFIG_FILE",
];
