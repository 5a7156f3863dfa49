#!/bin/sh
# Makes sure that there is a Chromium for tests: installs Debian's where that is possible, says what to do otherwise.
set -eu
browser=${CHROMIUM:-/usr/bin/chromium}
[ -x "$browser" ] && exit 0
if [ -z "${CHROMIUM:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core > /dev/null
  exit 0
fi
echo "The tests of the page need Chromium: install it as $browser, or name another in CHROMIUM" >&2
exit 1
