#!/usr/bin/env bash
# Makes the machine ready: `install.sh run` for `make run`, `install.sh test` for the test tools too.
# It looks for what is really missing, so a second run has nothing to do and costs milliseconds.
set -euo pipefail
cd "$(dirname "$0")/.."

purpose=${1:-run}
venv=.venv
log=$(mktemp "${TMPDIR:-/tmp}/silverquant-install.XXXXXX")
trap 'rm -f "$log"' EXIT

say() { printf 'install: %s\n' "$*"; }

fail() {
    printf 'install: %s\n' "$*" >&2
    if [ -s "$log" ]; then
        trap - EXIT
        printf 'install: what it said is in %s\n' "$log" >&2
    fi
    exit 1
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    local name
    for name in ${PYTHON:+"$PYTHON"} python3 python3.11 python3.12 python3.13 python3.14; do
        if command -v "$name" >/dev/null && is_new_enough "$name"; then
            python=$name
            return
        fi
    done
    fail "Python 3.11 or newer is needed, and $(python3 --version 2>&1 || true) is what python3 is here." \
        "Install a newer one (Debian 12, Ubuntu 24.04: apt-get install python3) or name it:" \
        "make $purpose PYTHON=/path/to/python3.11"
}

has_headers() {
    "$python" -c 'import pathlib, sysconfig, sys
sys.exit(not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").exists())'
}

has_mysql_client() {
    command -v pkg-config >/dev/null || return 1
    pkg-config --exists mysqlclient || pkg-config --exists mariadb || pkg-config --exists libmariadb
}

has_program() {
    local name
    for name in "$@"; do
        PATH=$PATH:/usr/sbin:/usr/local/sbin command -v "$name" >/dev/null && return
    done
    return 1
}

# mysqlclient has no wheel for Linux and is compiled, with the headers of this very Python.
missing_for_build() {
    has_program gcc cc || echo gcc
    has_program pkg-config || echo pkg-config
    has_mysql_client || echo default-libmysqlclient-dev
    "$python" -c 'import ensurepip, venv' 2>/dev/null || echo "python$version-venv"
    has_headers || echo "python$version-dev"
}

missing_for_tests() {
    has_program mariadbd || echo mariadb-server
    has_program redis-server || echo redis-server
    has_program chromium || echo chromium
    has_program msgfmt || echo gettext
    [ -e /usr/share/fonts/truetype/wqy/wqy-zenhei.ttc ] || echo fonts-wqy-zenhei
}

apt_install() {
    # The servers stay those of the package index: a private one is started for every test run.
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 \
        install -y --no-install-recommends "$@" </dev/null >>"$log" 2>&1
}

install_system_packages() {
    local line="apt-get install -y --no-install-recommends $*" root=()
    command -v apt-get >/dev/null ||
        fail "missing on this machine, under the names of Debian: $*. Install them and run make again"
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || fail "not allowed to install packages. Type: sudo $line"
        root=(sudo -n)
    fi
    say "installing system packages: $*"
    # The first try fails quickly where the package lists are absent or old.
    apt_install "$@" && return
    "${root[@]}" apt-get update </dev/null >>"$log" 2>&1 || true
    apt_install "$@" || fail "apt-get failed. Type: $line"
}

make_venv() {
    if [ -d $venv ] && ! is_new_enough $venv/bin/python; then
        say "$venv is of a Python that is gone or too old; making it anew"
        rm -rf $venv
    fi
    [ -x $venv/bin/python ] && return
    say "making $venv with $("$python" --version)"
    "$python" -m venv $venv >>"$log" 2>&1 || fail "$venv could not be made"
}

pip_setting() {
    $venv/bin/python -m pip config get "$1" 2>/dev/null || true
}

use_the_index_of_pip() {
    # uv does not read pip's configuration, where a mirror close by is often named.
    local index=${PIP_INDEX_URL:-$(pip_setting global.index-url)}
    if [ -n "$index" ] && [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
        export UV_DEFAULT_INDEX=$index
    fi
}

install_with_uv() {
    local uv
    uv=$(command -v uv) || uv=$venv/bin/uv
    [ -x "$uv" ] || $venv/bin/python -m pip install --quiet 'uv>=0.9,<1' >>"$log" 2>&1 || return 1
    use_the_index_of_pip
    "$uv" pip install --python $venv/bin/python "$@" >>"$log" 2>&1
}

install_python_packages() {
    say "installing Python packages of $requirements"
    install_with_uv -r "$requirements" && return
    say "uv could not do it; trying pip, which takes longer"
    $venv/bin/python -m pip install --quiet -r "$requirements" >>"$log" 2>&1 ||
        fail "the Python packages could not be installed: $(grep -iE 'error' "$log" | tail -n 1)"
}

let_scripts_import_us() {
    # A strategy lives in a folder of its own and says `from storage_app import …` there.
    local packages
    packages=$($venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf '%s\n' "$PWD" >"$packages/silverquant.pth"
}

case $purpose in
    run) requirements=requirements.txt ;;
    test) requirements=requirements-dev.txt ;;
    *) fail "install.sh knows 'run' and 'test', not '$purpose'" ;;
esac

# Two commands at once in one checkout: the second waits for the first.
exec 9<scripts/install.sh
if command -v flock >/dev/null; then flock 9; fi

find_python
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
stamp=$venv/.installed-$purpose
wanted="$(cat requirements.txt "$requirements" | cksum) $version"
# What the tests need includes what the platform needs.
if [ "$purpose" = run ] && [ "$(cat $venv/.installed-test 2>/dev/null)" = \
    "$(cat requirements.txt requirements-dev.txt | cksum) $version" ]; then
    printf '%s\n' "$wanted" >"$stamp"
fi

packages=()
if [ "$purpose" = test ]; then mapfile -t packages < <(missing_for_tests); fi
if [ "$(cat $stamp 2>/dev/null)" != "$wanted" ] || ! is_new_enough $venv/bin/python; then
    rm -f $stamp
    mapfile -t -O "${#packages[@]}" packages < <(missing_for_build)
fi
if [ ${#packages[@]} -gt 0 ]; then install_system_packages "${packages[@]}"; fi

if [ ! -e $stamp ]; then
    make_venv
    install_python_packages
    let_scripts_import_us
    printf '%s\n' "$wanted" >$stamp
fi
