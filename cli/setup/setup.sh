#!/bin/sh
# Finds a Python that Greenroom runs on and hands over to cli/setup/install.py. It is all that can be written in the shell
# because nothing else is sure to be there; arguments are passed on: python, livekit (both by default).
set -eu
cd "$(dirname "$0")/../.."

usable='import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 13)))'
for python in ${GREENROOM_PYTHON:-python3.13 python3.12 python3.11 python3}; do
  # Tried, not only looked up: a version manager may have a name on PATH for a Python that isn't there.
  if "$python" -c "$usable" >/dev/null 2>&1; then
    exec "$python" -m cli.setup.install "$@"
  fi
done
echo "setup: no Python 3.11, 3.12 or 3.13 (tried: ${GREENROOM_PYTHON:-python3.13 python3.12 python3.11 python3}): install one, or set GREENROOM_PYTHON to it" >&2
exit 1
