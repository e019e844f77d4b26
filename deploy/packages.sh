# shellcheck shell=sh
# The Debian packages that dray needs, and how they get in. To be sourced by a script that has set
# `root`; changes nothing by itself. Names are the same on Debian 12 and 13.

packages_build="gcc libc6-dev meson ninja-build pkgconf libhiredis-dev libuv1-dev
    libcurl4-openssl-dev libcjson-dev libmicrohttpd-dev libxxhash-dev libssl-dev"
packages_run="redis-server ca-certificates"
packages_test="libcmocka-dev clang-format spin python3 python3-pytest python3-pytest-xdist python3-pytest-timeout
    python3-redis python3-jsonschema python3-prometheus-client openssl util-linux
    chromium chromium-driver python3-selenium
    python3-yaml systemd prometheus groff-base zsh php-cli php-redis ruby-redis nodejs node-redis"
packages_deb="build-essential debhelper python3"

say() {
    printf '\n== %s\n' "$*"
}

# Prints those of its arguments that are not installed, on one line.
packages_missing() {
    for package in "$@"; do
        status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) || status=
        [ "$status" = installed ] || printf '%s ' "$package"
    done
}

# Installs those of its arguments that are missing, as root or through sudo. Nothing missing: no
# apt, no network, no root.
need_packages() {
    if ! command -v dpkg-query >/dev/null; then
        echo "This is no Debian: install the counterparts of these yourself: $*" >&2
        return 0
    fi
    missing=$(packages_missing "$@")
    if [ -z "$missing" ]; then
        say "All packages needed are installed"
        return 0
    fi
    say "Installing with apt-get: $missing"
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            echo "Packages are missing, and this is neither root nor is there sudo. As root, run:" >&2
            echo "    apt-get install --no-install-recommends $missing" >&2
            return 1
        fi
        as_root=sudo
        [ -t 0 ] || as_root="sudo -n" # nobody there to type a password: fail rather than hang
    fi
    # shellcheck disable=SC2086,SC2154 # words on purpose; root is the caller's
    $as_root sh "$root/deploy/apt-install" $missing
}

# Run with sudo in a checkout that belongs to the person: go on as that person, so that the build
# directory does not become root's. Arguments: the script and its arguments.
go_on_as_owner() {
    owner=$(stat -c %U "$root")
    if [ "$(id -u)" -eq 0 ] && [ "${SUDO_USER:-root}" != root ] && [ "$owner" = "$SUDO_USER" ]; then
        exec sudo -u "$SUDO_USER" "$@"
    fi
}
