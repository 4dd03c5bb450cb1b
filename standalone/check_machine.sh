#!/bin/sh
# Name everything that this machine lacks for `make demo` and `make test`, all at once, with the
# Debian packages that bring it. Usage: check_machine.sh [python]
python=${1:-python3}
missing=''
packages=''

lacks() {  # lacks <what> [Debian package]
    missing="$missing
  $1"
    packages="$packages${2:+ $2}"
}

case $python in
    python3.*) debian=$python ;;
    *) debian=python3 ;;
esac

if ! "$python" -c '' 2> /dev/null; then
    lacks "$python" "$debian"
    lacks "Python's venv" "$debian-venv"
    lacks "Python's headers" "$debian-dev"
elif ! "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'; then
    lacks "a Python from 3.10 to 3.13 ($python is $("$python" --version)); make PYTHON=<path>"
else
    "$python" -c 'import ensurepip, venv' 2> /dev/null ||
        lacks "Python's venv" "$debian-venv"
    "$python" -c 'import os, sysconfig
open(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2> /dev/null ||
        lacks "Python's headers (Python.h)" "$debian-dev"
fi
command -v "${CC:-cc}" > /dev/null || lacks "a C compiler (cc)" gcc
command -v "${CXX:-c++}" > /dev/null || lacks "a C++ compiler (c++)" g++

if [ -n "$missing" ]; then
    echo "This machine lacks:$missing" >&2
    [ -z "$packages" ] || echo "On Debian or Ubuntu: sudo apt install$packages" >&2
    exit 1
fi
