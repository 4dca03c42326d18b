#!/bin/sh
# Puts Gatepost in place on a Linux that has systemd and no dpkg.
#
#     install.sh            program, unit, manual, rules; the user. An upgrade is the same; it starts what runs anew,
#                           unless the new version refuses the configuration
#     install.sh --remove   takes all of that out again; configuration, store and records stay
set -eu
# Whatever root's is: the service must be able to read what is made here.
umask 022

here=$(cd "$(dirname "$0")" && pwd)
files=$(cd "$here/files" && find . -type f)

if [ "${1:-}" = --remove ]; then
    systemctl disable --now gatepost.service gatepost.socket || true
    for file in $files; do
        case $file in
            ./etc/*) ;;
            *) rm -f "/$file" ;;
        esac
    done
    find /usr/share/gatepost /usr/share/doc/gatepost -depth -type d -empty -delete
    systemctl daemon-reload || true
    echo "/etc/gatepost, /etc/default/gatepost, /var/lib/gatepost and the user gatepost are left"
    exit 0
fi

for file in $files; do
    # What the administrator has written stays.
    case $file in
        ./etc/*) [ ! -e "/$file" ] || continue ;;
    esac
    # Who unpacked it may have had a umask of their own.
    mode=644
    [ -z "$(find "$here/files/$file" -perm -100)" ] || mode=755
    mkdir -p "/$(dirname "$file")"
    # By a new name first: a running program cannot be written over.
    install -m $mode "$here/files/$file" "/$file.new"
    mv -f "/$file.new" "/$file"
done
getent passwd gatepost >/dev/null \
    || useradd --system --user-group --home-dir /var/lib/gatepost --shell /usr/sbin/nologin gatepost
install -d -m 0700 -o gatepost -g gatepost /var/lib/gatepost
# What is written there is the group's to read.
install -d -m 2750 -o root -g gatepost /etc/gatepost
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    /usr/share/gatepost/after-upgrade
fi
[ -e /etc/gatepost/gatepost.toml ] || echo "Now: gatepost init --domain D --backend HOST:PORT --for postfix|exchange"
