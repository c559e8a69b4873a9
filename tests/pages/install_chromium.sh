#!/usr/bin/env bash
# Debian's Chromium without a display, for tests/pages: playwright drives it and downloads none of its own.
set -euo pipefail
for name in chromium-headless-shell chromium; do
    command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Chromium is missing: install chromium-headless-shell (Debian) or chromium, or set CHROMIUM to one." >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium-headless-shell fonts-dejavu-core >/dev/null
