# shellcheck shell=bash
# What building and testing need on this machine; sourced by tests/run and .ci/run.
#
# `prepare` installs what is missing and says where things are:
#   CARGO_TARGET_DIR              absolute; target/ of the clone unless it was set
#   OPENSSL_NO_VENDOR             set where the headers are installed: no OpenSSL is compiled then
#   COUNTERSIGN_TEST_CHROMIUM     the browser, and COUNTERSIGN_TEST_CHROMEDRIVER its driver
#   COUNTERSIGN_TEST_AXE          axe.min.js, from the npm registry, kept in the target folder
#   COUNTERSIGN_TEST_OPENID_CLIENT, COUNTERSIGN_TEST_AUTHLIB
#                                 folders with the client libraries of tests/interop/, from the npm registry and from
#                                 PyPI: the files that are listed there, kept in the target folder
#   postgres_bin                  the folder with initdb and pg_ctl (not exported)
# All but the last may be set beforehand, for a machine whose browser is called otherwise.

AXE_VERSION=4.14.1
AXE_SHA256=29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c

prepare() {
    has cargo || die "cargo is missing: install Rust 1.94 or later (https://rustup.rs)"
    CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
    axe=$CARGO_TARGET_DIR/axe-core-$AXE_VERSION/axe.min.js
    interop=$root/tests/interop
    openid_client=$CARGO_TARGET_DIR/openid-client-$(digest "$interop/openid_client/package-lock.json")
    authlib=$CARGO_TARGET_DIR/authlib-$(digest "$interop/authlib/requirements.txt")
    export CARGO_TARGET_DIR

    local missing
    missing=$(missing_packages)
    [[ -z $missing ]] || install_packages "$missing"
    locate
    [[ -n ${COUNTERSIGN_TEST_AXE:-} ]] || fetch_axe
    export COUNTERSIGN_TEST_AXE=${COUNTERSIGN_TEST_AXE:-$axe}
    [[ -n ${COUNTERSIGN_TEST_OPENID_CLIENT:-} ]] || fetch_openid_client
    export COUNTERSIGN_TEST_OPENID_CLIENT=${COUNTERSIGN_TEST_OPENID_CLIENT:-$openid_client}
    [[ -n ${COUNTERSIGN_TEST_AUTHLIB:-} ]] || fetch_authlib
    export COUNTERSIGN_TEST_AUTHLIB=${COUNTERSIGN_TEST_AUTHLIB:-$authlib}

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

# Another list, another folder.
digest() {
    local sum
    sum=$(sha256sum "$1")
    printf '%s' "${sum:0:12}"
}

# openid-client asks for Node 20, joserfc below Authlib for Python 3.11.
has_node() {
    has node && node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'
}

has_python() {
    has python3 && python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
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
    has_node || packages+=(nodejs)
    has_packages_of_node || has npm || packages+=(npm)
    [[ -n ${COUNTERSIGN_TEST_AUTHLIB:-} ]] || has_authlib || has_python || packages+=(python3 python3-venv)
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
    [[ -z $missing ]] || die "these packages are installed but bring no program we can find, or one too old: $missing"
}

has_packages_of_node() {
    [[ -n ${COUNTERSIGN_TEST_AXE:-} ]] || has_axe || return
    [[ -n ${COUNTERSIGN_TEST_OPENID_CLIENT:-} ]] || has_openid_client
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

has_openid_client() {
    [[ -f $openid_client/node_modules/openid-client/package.json ]]
}

fetch_openid_client() {
    ! has_openid_client || return 0
    local folder
    mkdir -p "$CARGO_TARGET_DIR"
    folder=$(mktemp -d "$openid_client.XXXXXX")
    cp "$interop/openid_client/package.json" "$interop/openid_client/package-lock.json" "$folder" &&
        (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --silent >&2) &&
        put_in_place "$folder" "$openid_client" || say "the npm registry gives no openid-client"
    rm -rf "$folder"
    has_openid_client || die "$interop/openid_client/package-lock.json names packages that cannot be installed"
}

# Asks the interpreter: it is gone when the Python of the system is another one now.
has_authlib() {
    [[ -x $authlib/bin/python ]] && "$authlib/bin/python" -I -c 'import authlib, flask, requests' 2>/dev/null
}

fetch_authlib() {
    ! has_authlib || return 0
    local folder
    mkdir -p "$CARGO_TARGET_DIR"
    folder=$(mktemp -d "$authlib.XXXXXX")
    python3 -m venv "$folder" >&2 &&
        "$folder/bin/python" -m pip --disable-pip-version-check --quiet install --no-deps --only-binary :all: \
            --require-hashes --requirement "$interop/authlib/requirements.txt" >&2 &&
        "$folder/bin/python" -m pip --disable-pip-version-check --quiet check >&2 &&
        put_in_place "$folder" "$authlib" || say "PyPI gives no Authlib"
    rm -rf "$folder"
    has_authlib || die "$interop/authlib/requirements.txt names packages that cannot be installed"
}

# A folder appears whole or not at all; another run may have been faster.
put_in_place() {
    rm -rf "$2"
    mv -T "$1" "$2"
}
