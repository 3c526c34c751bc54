"""A client of ModemManager's own library, libmm-glib, as SMS apps are: it says what it sees.

One line each: "modem PATH", "gone PATH", "added MODEM SMS TEXT" (announced, then found by listing), "deleted MODEM SMS",
"lists MODEM SMS TEXT" (when the modem came).
"""

import gi

gi.require_version("ModemManager", "1.0")
from gi.repository import Gio, GLib, ModemManager  # noqa: E402


def say(*words):
    print(*words, flush=True)


def find(messaging, then):
    messaging.list(None, lambda messaging, answer: then({sms.get_path(): sms for sms in messaging.list_finish(answer)}))


here = set()


def follow(messaging):
    modem = messaging.get_object_path()
    # GLib makes the interface anew, and tells of it twice, where a starting service's InterfacesAdded crosses its
    # answer to GetManagedObjects.
    if modem not in here:
        here.add(modem)
        say("modem", modem)

    def added(messaging, path, received):
        def found(all_sms):
            if path in all_sms:
                say("added", modem, path, all_sms[path].get_text())

        find(messaging, found)

    messaging.connect("added", added)
    messaging.connect("deleted", lambda _, path: say("deleted", modem, path))
    find(messaging, lambda all_sms: [say("lists", modem, path, sms.get_text()) for path, sms in all_sms.items()])


def came(_, found):
    messaging = found.get_modem_messaging()
    if messaging:
        follow(messaging)


def went(_, gone):
    here.discard(gone.get_object_path())
    say("gone", gone.get_object_path())


def interface_came(_, __, interface):
    if isinstance(interface, ModemManager.ModemMessaging):
        follow(interface)


bus = Gio.bus_get_sync(Gio.BusType.SYSTEM, None)
manager = ModemManager.Manager.new_sync(bus, Gio.DBusObjectManagerClientFlags.DO_NOT_AUTO_START, None)
manager.connect("object-added", came)
manager.connect("object-removed", went)
manager.connect("interface-added", interface_came)
say("ready")
for known in manager.get_objects():
    came(manager, known)
GLib.MainLoop().run()
