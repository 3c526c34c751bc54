# SPDX-License-Identifier: Apache-2.0
# Installed as /etc/profile.d/shunt-door.sh: a session that begins in a login shell, as Phosh's does, finds the launchers
# that go through the door.
if [ -n "${XDG_RUNTIME_DIR:-}" ] && [ -x /usr/libexec/shunt/launchers ]; then
	while IFS= read -r shunt_door; do
		[ -z "$shunt_door" ] || export "$shunt_door"
	done <<-EOF
		$(/usr/libexec/shunt/launchers)
	EOF
	unset shunt_door
fi
