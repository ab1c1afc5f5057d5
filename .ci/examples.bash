# What the scripts that try the compiled examples have in common. It takes the folder of these from
# `examples`, makes an empty folder `dir`, and clears up at the script's end.

dir=$(mktemp -d)
server='' other=''
trap 'kill $server $other 2>/dev/null || true; rm -rf "$dir"' EXIT

die() { printf '%s: %s\n' "$0" "$*" >&2; exit 1; }
same() { # WHAT EXPECTED ACTUAL
  [ "$2" = "$3" ] || die "$1: expected '$2', got '$3'"
}

start_server() { # OPTION...: sets url
  local line
  exec 3< <(exec "$examples/echo_server" 127.0.0.1:0 --commands --subprotocol chat "$@")
  server=$!
  read -r -t 10 line <&3 || die 'the server does not listen'
  url=${line#listening on }
}
stop_server() { # PATTERN: that of the server's last line
  local line last='' code=0
  kill "$server"
  while read -r -t 20 line <&3; do last=$line; done
  wait "$server" || code=$?
  server=''
  same "the server's exit code" 0 "$code"
  [[ $last = $1 ]] || die "the server's last line: expected '$1', got '$last'"
}

start_wscat() { # ARGUMENT...
  coproc WSCAT { exec timeout 60 "$examples/wscat" "$@" 2>"$dir/stderr"; }
  wscat=$WSCAT_PID
  exec 4<&"${WSCAT[0]}" 5>&"${WSCAT[1]}"
  eval "exec ${WSCAT[1]}>&-"
}
say() { printf '%s\n' "$1" >&5; }
hear() { # LINE
  local line
  read -r -t 20 line <&4 || die "expected '$1', got nothing: $(cat "$dir/stderr")"
  same 'a line of wscat' "$1" "$line"
}
end_of_input() { exec 5>&-; }
ends() { # EXIT_CODE STDERR
  local code=0
  wait "$wscat" || code=$?
  same "wscat's exit code" "$1" "$code"
  same "wscat's standard error" "$2" "$(cat "$dir/stderr")"
}
