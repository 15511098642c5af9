# Stops the programs of the platform when its input ends: because the supervisor closed it,
# or because the supervisor died, however it died. Every line read is the whole list of process
# groups, applications before the slash and servers after it; the last line counts.
# $1: seconds to end in, after which they are killed.
trap '' HUP INT TERM
applications= servers=
while IFS=/ read -r first second; do applications=$first servers=$second; done

is_any_alive() {
    for group; do kill -s 0 -- "-$group" 2>/dev/null && return; done
    return 1
}

stop() {
    tenths=$1 && shift
    for group; do kill -s TERM -- "-$group" 2>/dev/null; done
    while [ "$tenths" -gt 0 ] && is_any_alive "$@"; do
        sleep 0.1
        tenths=$((tenths - 1))
    done
    for group; do kill -s KILL -- "-$group" 2>/dev/null; done
}

# shellcheck disable=SC2086  # lists of numbers
stop "$(($1 * 10))" $applications
# shellcheck disable=SC2086
stop "$(($1 * 10))" $servers
exit 0
