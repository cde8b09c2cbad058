# The last resort of bootstrap.sh, which sources it: no Python 3.12 here, so everything runs in the platform's own
# trixie image, on the host's network and with the host's Docker engine. Ends the calling script.

in_image() { # command...
    local run=(docker run --rm -i --init --network host) name code=0
    step "no Python 3.12 or newer on this host: going on in an image of Debian trixie"
    ensure_docker
    ensure_debian
    ensure_hub
    [ -t 0 ] && run+=(-t)
    [ "$(id -u)" = 0 ] || run+=(--user "$(id -u):$(id -g)" --group-add "$(stat -c %g /var/run/docker.sock)")
    run+=(-v "$PWD:$PWD" -w "$PWD" -v /tmp:/tmp -v /var/run/docker.sock:/var/run/docker.sock)
    if [ -n "${BDAP_STORE:-}" ]; then run+=(-v "$BDAP_STORE:$BDAP_STORE"); fi
    mkdir -p var/home
    run+=(-e "HOME=$PWD/var/home" -e BDAP_VENV=.venv-trixie -e "BASE_IMAGE=$base_image")
    for name in $(compgen -e | grep -E '^(CI|ENGINE|(http|https|no)_proxy|BDAP_.*)$'); do
        case $name in BDAP_PYTHON | BDAP_VENV) ;; *) run+=(-e "$name") ;; esac
    done
    if [ -n "${SSL_CERT_FILE:-}" ]; then
        run+=(-v "$SSL_CERT_FILE:$SSL_CERT_FILE:ro" -e SSL_CERT_FILE)
    fi
    "${run[@]}" bdap/hub bash bdap_hub/demo/bootstrap.sh "$profile" "$@" || code=$?
    stop_docker
    exit $code
}

dockerd_pid=

ensure_docker() {
    export PATH="$PATH:/usr/sbin:/sbin"
    docker version >/dev/null 2>&1 && return
    if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then
        local packages=(docker.io iptables) name
        if command -v apt-get >/dev/null && may_be_root; then apt_update; fi
        for name in docker-cli docker-buildx; do
            if apt-cache policy "$name" 2>/dev/null | grep -q "Candidate: [^(]"; then packages+=("$name"); fi
        done
        apt_install "Docker Engine" "${packages[@]}"
        docker version >/dev/null 2>&1 && return
    fi
    may_be_root || stop "Docker Engine is not running and this account may not start it" "run 'sudo dockerd &'"
    step "starting Docker Engine"
    mkdir -p var/log
    setsid "${as_root[@]}" dockerd --group "$(id -g)" >>var/log/dockerd.log 2>&1 </dev/null &
    trap stop_docker EXIT
    local waited=0
    until docker version >/dev/null 2>&1; do
        waited=$((waited + 1))
        [ $waited -lt 300 ] || stop "Docker Engine does not start here" "see var/log/dockerd.log"
        sleep 0.1
    done
    dockerd_pid=$(cat /var/run/docker.pid)
}

stop_docker() {
    if [ -n "$dockerd_pid" ]; then "${as_root[@]}" kill "$dockerd_pid" 2>/dev/null || true; fi
    dockerd_pid=
}

ensure_debian() {
    base_image=${BASE_IMAGE:-bdap/debian:trixie}
    docker image inspect "$base_image" >/dev/null 2>&1 && return
    [ "$base_image" = bdap/debian:trixie ] || { docker pull "$base_image" && return; }
    command -v debootstrap >/dev/null || apt_install debootstrap debootstrap debian-archive-keyring gpgv
    may_be_root || stop "debootstrap needs root" "give a base image instead: BASE_IMAGE=debian:trixie-slim"
    step "Debian trixie by debootstrap (half a minute)"
    local folder mirror=${BDAP_DEBIAN_MIRROR:-http://deb.debian.org/debian}
    folder=$(mktemp -d -p /var/tmp bdap-debian-XXXXXX)
    "${as_root[@]}" debootstrap --variant=minbase --include=ca-certificates \
        --keyring=/usr/share/keyrings/debian-archive-keyring.gpg --force-check-gpg \
        trixie "$folder" "$mirror" >var/log/debootstrap.log 2>&1 || {
        "${as_root[@]}" rm -rf --one-file-system "$folder"
        stop "debootstrap of trixie from $mirror failed" "see var/log/debootstrap.log, or give BASE_IMAGE"
    }
    printf 'deb %s trixie main\ndeb %s trixie-updates main\ndeb %s trixie-security main\n' \
        "$mirror" "$mirror" "${BDAP_DEBIAN_SECURITY_MIRROR:-$mirror-security}" |
        "${as_root[@]}" tee "$folder/etc/apt/sources.list" >/dev/null
    "${as_root[@]}" tar -C "$folder" --exclude='./dev/*' --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' \
        --numeric-owner -c . | docker import - "$base_image" >/dev/null
    "${as_root[@]}" rm -rf --one-file-system "$folder"
}

ensure_hub() {
    local wanted options secrets=()
    wanted=$(printf '%s' "$base_image" | cat - images/hub/* | sha256sum | cut -c1-64)
    [ "$(docker image inspect --format '{{index .Config.Labels "bdap.shell-inputs"}}' bdap/hub 2>/dev/null)" = "$wanted" ] &&
        return
    step "image bdap/hub"
    options=$(mktemp)
    apt-config dump 2>/dev/null | grep -E '^Acquire::(https?::Proxy|Check-Valid-Until|Check-Date) ' >"$options" || true
    secrets=(--secret "id=apt,src=$options")
    local client=docker
    # A client of 23 or newer builds only with buildx; Debian's own may stand behind it.
    docker buildx version >/dev/null 2>&1 || client=/usr/bin/docker
    DOCKER_BUILDKIT=1 "$client" build -q --network host --build-arg "BASE_IMAGE=$base_image" "${secrets[@]}" \
        --label "bdap.shell-inputs=$wanted" -t bdap/hub images/hub >/dev/null
    rm -f "$options"
}
