# Shunt. `make demo` and `make test` work on a fresh Debian or Ubuntu with Rust; `make help` lists the rest.

CARGO ?= cargo
PREFIX ?= /usr
DESTDIR ?=
ARGS ?=

LIBEXECDIR = $(PREFIX)/libexec/shunt
DATADIR = $(PREFIX)/share
USERUNITS = $(PREFIX)/lib/systemd/user
# What systemd makes of Chatty's autostart file.
CHATTY = app-sm.puri.Chatty\x2ddaemon@autostart.service
OUT = $(abspath $(or $(CARGO_TARGET_DIR),target))
RELEASE = $(OUT)/release
FUZZ_SECONDS ?= 60
TARGETS ?= aarch64-unknown-linux-gnu armv7-unknown-linux-gnueabihf aarch64-linux-android

export SHUNT_LIBEXEC = $(LIBEXECDIR)
export SHUNT_DATA = $(DATADIR)/shunt

# What the bundled SQLite would bring along and nothing here uses: half a megabyte on the phone.
build figures: export LIBSQLITE3_FLAGS = -USQLITE_ENABLE_FTS3 -USQLITE_ENABLE_FTS3_PARENTHESIS -USQLITE_ENABLE_FTS5 \
  -USQLITE_ENABLE_RTREE -USQLITE_ENABLE_DBSTAT_VTAB -USQLITE_ENABLE_STAT4 -USQLITE_SOUNDEX -USQLITE_ENABLE_API_ARMOR \
  -USQLITE_ENABLE_MEMORY_MANAGEMENT -USQLITE_ENABLE_LOAD_EXTENSION -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_JSON

.PHONY: help build demo desk test lint check-targets privacy apps boot fuzz figures directory-bench install install-openrc install-directory clean

help:
	@echo 'make demo              two phones and a cloud show the main job (root); ARGS=--json for a line a step'
	@echo 'make desk              two phones and a cloud, and a shell on one of them (root)'
	@echo 'make test              everything that CI runs (root)'
	@echo 'make privacy           what leaves a phone, byte by byte, and what of its user is in it (root)'
	@echo 'make apps              unmodified apps through the door and beside it: what they did (root)'
	@echo 'make boot              the units under a systemd of their own: what held (root)'
	@echo 'make build             the device build, optimised: three daemons and shuntctl'
	@echo 'make install           install that build; DESTDIR=, PREFIX='
	@echo 'make install-openrc    the same for the scripts of OpenRC, where that runs the system'
	@echo 'make install-directory the same for the cloud'"'"'s directory, for packagers'
	@echo 'make check-targets     type-check the device programs for TARGETS ($(TARGETS))'
	@echo 'make fuzz              each fuzz target for FUZZ_SECONDS (60)'
	@echo 'make figures           the budget, line by line, beside lower bounds (root); ARGS=im for one topic'
	@echo 'make directory-bench   what look-ups cost the directory, and how many numbers one account can test'

build:
	$(CARGO) build --locked --release --bins

demo:
	@tests/packages demo >&2
	@$(CARGO) build --locked --quiet --features directory --bins >&2
	@$(CARGO) build --locked --quiet -p shunt-kit --bin demo >&2
	@$(OUT)/debug/demo $(OUT)/debug $(ARGS)

desk:
	@tests/packages demo >&2
	@$(CARGO) build --locked --quiet --features directory --bins >&2
	@$(CARGO) build --locked --quiet -p shunt-kit --bin desk >&2
	@$(OUT)/debug/desk $(OUT)/debug $(ARGS)

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --features directory,leak -- -D warnings

test:
	@tests/packages test
	$(MAKE) lint
	$(CARGO) build --locked --features leak --bin shuntd-core-leaking
	$(CARGO) test --locked --workspace --features directory --no-fail-fast

# Seconds that each silent phase goes on after its last step.
DWELL ?= 10
privacy:
	@tests/packages test >&2
	@$(CARGO) build --locked --quiet --features leak --bin shuntd-core-leaking >&2
	@DWELL=$(DWELL) $(CARGO) test --locked --quiet --features directory --test privacy -- --nocapture

# What the table says is what the tests found; where one fails, all that they said follows.
apps:
	@tests/packages test >&2
	@$(CARGO) build --locked --quiet --features directory --bins >&2
	@status=0; $(CARGO) test --locked --features directory --test apps --test door --no-fail-fast -- --nocapture \
	  >target/apps.log 2>&1 || status=$$?; \
	tests/apps/table target/apps.log || status=1; \
	[ $$status = 0 ] || cat target/apps.log >&2; exit $$status

boot:
	@tests/packages test >&2
	@$(CARGO) test --locked --quiet --features directory --test firmware boot:: -- --nocapture

# Rust alone: nothing is linked, so no C compiler for them is needed.
check-targets:
	rustup target add $(TARGETS)
	for target in $(TARGETS); do name=$$(echo $$target | tr - _); \
	  env CC_$$name=true AR_$$name=true $(CARGO) check --locked --lib --bins --target $$target || exit 1; done

fuzz:
	@command -v cargo-fuzz >/dev/null || $(CARGO) install cargo-fuzz --locked
	tests/fuzz/run $(FUZZ_SECONDS)

figures:
	@tests/packages figures >&2
	$(CARGO) build --locked --release --features directory --bins --example figures
	$(RELEASE)/examples/figures $(RELEASE) $(ARGS)

directory-bench:
	$(CARGO) build --locked --release --features directory --bin shunt-directory --example directory
	$(RELEASE)/examples/directory $(RELEASE)/shunt-directory

install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(LIBEXECDIR)
	install -m 0755 $(RELEASE)/shuntctl $(DESTDIR)$(PREFIX)/bin/shuntctl
	for daemon in shuntd shuntd-core shuntd-uplink shunt-door; do \
	  install -m 0755 $(RELEASE)/$$daemon $(DESTDIR)$(LIBEXECDIR)/$$daemon; done
	install -Dm 0644 config/shunt.toml $(DESTDIR)$(DATADIR)/shunt/shunt.toml
	install -d $(DESTDIR)/etc/shunt/shunt.toml.d
	install -Dm 0644 config/org.shunt.Shunt1.xml $(DESTDIR)$(DATADIR)/dbus-1/interfaces/org.shunt.Shunt1.xml
	install -Dm 0644 config/org.shunt.SmsAgent1.xml $(DESTDIR)$(DATADIR)/dbus-1/interfaces/org.shunt.SmsAgent1.xml
	install -Dm 0644 config/org.shunt.Shunt1.conf $(DESTDIR)$(DATADIR)/dbus-1/system.d/org.shunt.Shunt1.conf
	install -Dm 0644 config/org.shunt.Shunt1.policy $(DESTDIR)$(DATADIR)/polkit-1/actions/org.shunt.Shunt1.policy
	install -Dm 0644 config/org.shunt.Shunt1.rules $(DESTDIR)$(DATADIR)/polkit-1/rules.d/org.shunt.Shunt1.rules
	install -Dm 0644 init/shuntd.service $(DESTDIR)$(PREFIX)/lib/systemd/system/shuntd.service
	install -Dm 0644 init/shunt.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/shunt.conf
	install -Dm 0644 init/shunt.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/shunt.conf
	install -m 0755 init/door/through-door $(DESTDIR)$(LIBEXECDIR)/through-door
	install -d $(DESTDIR)$(USERUNITS)/sockets.target.wants
	install -m 0644 init/door/shunt-door.socket init/door/shunt-door.service $(DESTDIR)$(USERUNITS)
	ln -sf ../shunt-door.socket $(DESTDIR)$(USERUNITS)/sockets.target.wants/shunt-door.socket
	install -Dm 0644 init/door/chatty.conf '$(DESTDIR)$(USERUNITS)/$(CHATTY).d/50-shunt-door.conf'
	install -m 0755 init/door/launchers $(DESTDIR)$(LIBEXECDIR)/launchers
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/user-environment-generators
	ln -sf $(LIBEXECDIR)/launchers $(DESTDIR)$(PREFIX)/lib/systemd/user-environment-generators/50-shunt-door
	install -Dm 0644 init/door/profile.sh $(DESTDIR)/etc/profile.d/shunt-door.sh
	install -Dm 0644 init/door/shunt-door.desktop $(DESTDIR)/etc/xdg/autostart/shunt-door.desktop
	install -d $(DESTDIR)$(DATADIR)/man/man1 $(DESTDIR)$(DATADIR)/bash-completion/completions
	$(RELEASE)/shuntctl man > $(DESTDIR)$(DATADIR)/man/man1/shuntctl.1
	$(RELEASE)/shuntctl completions bash > $(DESTDIR)$(DATADIR)/bash-completion/completions/shuntctl
	sed -i 's|/usr/libexec/shunt|$(LIBEXECDIR)|g' $(DESTDIR)$(PREFIX)/lib/systemd/system/shuntd.service \
	  $(DESTDIR)$(USERUNITS)/shunt-door.service $(DESTDIR)/etc/xdg/autostart/shunt-door.desktop \
	  $(DESTDIR)/etc/profile.d/shunt-door.sh $(DESTDIR)$(LIBEXECDIR)/launchers $(DESTDIR)$(LIBEXECDIR)/through-door

# Beside `install`, where OpenRC runs the system; the package makes the users shunt-core and shunt-uplink.
install-openrc:
	install -Dm 0755 init/shuntd.openrc $(DESTDIR)/etc/init.d/shuntd
	install -Dm 0755 init/door/shunt-door.openrc $(DESTDIR)/etc/user/init.d/shunt-door
	sed -i 's|/usr/libexec/shunt|$(LIBEXECDIR)|g' $(DESTDIR)/etc/init.d/shuntd $(DESTDIR)/etc/user/init.d/shunt-door

# The cloud's side. Not needed by `install`, and nothing of it belongs on a phone.
install-directory:
	$(CARGO) build --locked --release --features directory --bin shunt-directory
	install -Dm 0755 $(RELEASE)/shunt-directory $(DESTDIR)$(PREFIX)/bin/shunt-directory
	install -Dm 0644 config/directory.toml $(DESTDIR)$(DATADIR)/shunt-directory/directory.toml
	install -m 0644 config/directory.openapi.yaml $(DESTDIR)$(DATADIR)/shunt-directory/directory.openapi.yaml
	install -m 0644 config/evaluator.toml config/evaluator.openapi.yaml $(DESTDIR)$(DATADIR)/shunt-directory/
	install -Dm 0644 config/ejabberd/ejabberd.yml $(DESTDIR)$(DATADIR)/shunt-directory/ejabberd/ejabberd.yml
	install -m 0644 config/ejabberd/mod_shunt.erl $(DESTDIR)$(DATADIR)/shunt-directory/ejabberd/mod_shunt.erl
	install -Dm 0644 init/shunt-directory.service $(DESTDIR)$(PREFIX)/lib/systemd/system/shunt-directory.service
	install -Dm 0644 init/shunt-evaluator.service $(DESTDIR)$(PREFIX)/lib/systemd/system/shunt-evaluator.service
	install -Dm 0644 init/shunt-directory.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/shunt-directory.conf
	install -Dm 0644 init/shunt-evaluator.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/shunt-evaluator.conf
	install -Dm 0644 init/shunt-directory.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/shunt-directory.conf
	install -Dm 0644 init/shunt-evaluator.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/shunt-evaluator.conf

clean:
	$(CARGO) clean
