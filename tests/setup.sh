# shellcheck shell=bash
# What building and testing need on this machine; sourced by tests/run and .ci/run.
#
# `prepare` installs what is missing and says where things are:
#   CARGO_TARGET_DIR              absolute; target/ of the clone unless it was set
#   OPENSSL_NO_VENDOR             set where the headers are installed: no OpenSSL is compiled then
#   COUNTERSIGN_TEST_CHROMIUM     the browser, and COUNTERSIGN_TEST_CHROMEDRIVER its driver
#   COUNTERSIGN_TEST_AXE          axe.min.js, from the npm registry, kept in the target folder
#   postgres_bin                  the folder with initdb and pg_ctl (not exported)
# The first four may be set beforehand, for a machine whose browser is called otherwise.

AXE_VERSION=4.14.1
AXE_SHA256=29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c

prepare() {
    has cargo || die "cargo is missing: install Rust 1.94 or later (https://rustup.rs)"
    CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
    axe=$CARGO_TARGET_DIR/axe-core-$AXE_VERSION/axe.min.js
    export CARGO_TARGET_DIR

    local missing
    missing=$(missing_packages)
    [[ -z $missing ]] || install_packages "$missing"
    locate
    [[ -n ${COUNTERSIGN_TEST_AXE:-} ]] || fetch_axe
    export COUNTERSIGN_TEST_AXE=${COUNTERSIGN_TEST_AXE:-$axe}

    if has_openssl; then
        export OPENSSL_NO_VENDOR=1
    fi
}

say() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
}

die() {
    say "$@"
    exit 1
}

has() {
    command -v "$1" >/dev/null
}

has_openssl() {
    has pkg-config && pkg-config --exists openssl
}

# Empty where there is none. Debian keeps the server's programs out of PATH, by version.
locate() {
    local folder
    for folder in "$(dirname "$(command -v pg_ctl || true)")" /usr/lib/postgresql/*/bin; do
        if [[ -x $folder/initdb && -x $folder/pg_ctl && -x $folder/postgres ]]; then
            postgres_bin=$folder
        fi
    done
    export COUNTERSIGN_TEST_CHROMIUM=${COUNTERSIGN_TEST_CHROMIUM:-$(command -v chromium || true)}
    export COUNTERSIGN_TEST_CHROMEDRIVER=${COUNTERSIGN_TEST_CHROMEDRIVER:-$(command -v chromedriver || true)}
}

# Debian's names, on one line.
missing_packages() {
    local packages=()
    locate
    has cc || packages+=(gcc libc6-dev)
    has make || packages+=(make)
    has perl || packages+=(perl)
    has_openssl || packages+=(libssl-dev pkg-config)
    [[ -n $COUNTERSIGN_TEST_CHROMIUM ]] || packages+=(chromium fonts-liberation)
    [[ -n $COUNTERSIGN_TEST_CHROMEDRIVER ]] || packages+=(chromium-driver)
    [[ -n ${postgres_bin:-} ]] || packages+=(postgresql)
    [[ -n ${COUNTERSIGN_TEST_AXE:-} ]] || has_axe || has npm || packages+=(npm)
    printf '%s' "${packages[*]}"
}

install_packages() {
    local packages as_root=()
    read -ra packages <<<"$1"
    if ((EUID != 0)); then
        as_root=(sudo -n)
    fi
    if ! has apt-get || ! "${as_root[@]}" true 2>/dev/null; then
        # OpenSSL is compiled from source where its headers are missing; nothing replaces the others.
        [[ $1 != "libssl-dev pkg-config" ]] || return 0
        die "install these packages first, as root (the names are Debian's): $1"
    fi

    say "installing $1"
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq) status=0
    "${apt[@]}" update >&2 || die "apt-get update failed"
    # The tests start a server of their own; without this line the package would start another.
    local no_cluster=/etc/postgresql-common/createcluster.d/no-main-cluster.conf
    if [[ $1 == *postgresql* ]]; then
        "${as_root[@]}" install -D -m 644 /dev/stdin "$no_cluster" <<<"create_main_cluster = false"
    fi
    "${apt[@]}" install -y --no-install-recommends "${packages[@]}" >&2 || status=$?
    "${as_root[@]}" rm -f "$no_cluster"
    ((status == 0)) || die "apt-get install $1 failed"

    local missing
    missing=$(missing_packages)
    [[ -z $missing ]] || die "these packages are installed but bring no program we can find: $missing"
}

has_axe() {
    [[ -f $axe ]] && sha256sum --status --check <<<"$AXE_SHA256  $axe"
}

fetch_axe() {
    ! has_axe || return 0
    local folder
    mkdir -p "${axe%/*}"
    folder=$(mktemp -d "${axe%/*}/fetch.XXXXXX")
    (cd "$folder" && npm pack "axe-core@$AXE_VERSION" --ignore-scripts --silent >/dev/null) &&
        tar -xzf "$folder/axe-core-$AXE_VERSION.tgz" -C "$folder" package/axe.min.js &&
        mv -f "$folder/package/axe.min.js" "$axe" || say "the npm registry gives no axe-core $AXE_VERSION"
    rm -rf "$folder"
    has_axe || die "$axe is not the file that AXE_SHA256 names"
}
