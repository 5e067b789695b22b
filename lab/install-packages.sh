#!/bin/sh
# Installs what the lab calls (packages.txt) with apt-get. No service of them is started: a policy file says so while
# the packages are set up, and it is removed again if it was not there before.
set -eu
cd "$(dirname "$0")"

if [ "$(id -u)" != 0 ]; then
  echo "lab-packages: run as root (sudo make lab-packages)" >&2
  exit 2
fi

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT INT TERM
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

missing=""
for package in $(sed -e 's/#.*//' packages.txt); do
  # nodejs and a JDK often come from elsewhere than Debian: what is on the path is good enough
  case "$package" in
    nodejs) command -v node >/dev/null && continue ;;
    default-jdk-headless) command -v javac >/dev/null && continue ;;
  esac
  dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done

if [ -z "$missing" ]; then
  echo "lab-packages: everything is there"
  exit 0
fi
echo "lab-packages: installing$missing"
apt-get update -qq
# shellcheck disable=SC2086  # a list of words on purpose
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
