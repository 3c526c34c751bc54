#!/usr/bin/python3
"""Writes the seeds of the door's target: conversations that lead to each thing that the desk does.

The desk's own calls, and what it tells the app, count up from 0xFFFF0001, and an answer names the one that it is for:
after a change of what the desk asks these lead nowhere, which `tests/door/seeds.rs` finds. They are written anew by
`tests/fuzz/door_seeds.py tests/fuzz/seeds/door` (python3-gi).
"""

import struct
import sys

from gi.repository import Gio, GLib

APP, BUS = 0, 1
ME, MM, OFONO, CORE, DBUS = ":1.9", ":1.5", ":1.6", ":1.7", "org.freedesktop.DBus"
MANAGER = "org.freedesktop.ModemManager1"
MODEM, SMS, OLD, NEW = (f"/org/freedesktop/ModemManager1/{name}" for name in ("Modem/0", "SMS/3", "SMS/2", "SMS/4"))
# An instant message, and the delivery report of OLD.
OURS, REPORT = (f"/org/freedesktop/ModemManager1/SMS/{number}" for number in (1073741825, 1610612738))
MESSAGING, OBJECT = f"{MANAGER}.Modem.Messaging", f"{MANAGER}.Sms"
PROPERTIES, OBJECTS = f"{DBUS}.Properties", f"{DBUS}.ObjectManager"
TEXT = "/org/shunt/Shunt1/message/a"
# Of the ordinal 0.
MARK = "       \n"

OUTGOING = {
    "State": ("u", 0), "PduType": ("u", 0), "TeleserviceId": ("u", 0), "ServiceCategory": ("u", 0), "Class": ("i", -1),
    "Number": ("s", "+492"), "Text": ("s", "hello"), "SMSC": ("s", ""), "Data": ("ay", []), "DeliveryReportRequest": ("b", True),
}


class Seed:
    """A conversation in pieces: side and time in one byte, the length in two, the bytes."""

    def __init__(self, order=Gio.DBusMessageByteOrder.LITTLE_ENDIAN):
        self.bytes, self.told, self.order = b"", 8, order
        self.piece(APP, b"\0AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
        self.piece(BUS, b"OK 12\r\nAGREE_UNIX_FD\r\n")
        self.app(1, DBUS, "/", DBUS, "Hello")
        self.reply(1, DBUS, "(s)", ME)

    def piece(self, side, piece, wait=0):
        self.bytes += bytes([side | wait << 1]) + struct.pack(">H", len(piece)) + piece

    def wait(self):
        self.piece(APP, b"", 127)

    def blob(self, message, serial, signature, body):
        message.set_serial(serial)
        message.set_byte_order(self.order)
        if signature:
            message.set_body(GLib.Variant(signature, body))
        return bytes(message.to_blob(Gio.DBusCapabilityFlags.NONE))

    def app(self, serial, to, path, interface, member, signature="", *body):
        message = Gio.DBusMessage.new_method_call(to, path, interface, member)
        self.piece(APP, self.blob(message, serial, signature, body))

    def reply(self, serial, sender, signature="", *body, error=None):
        message = Gio.DBusMessage()
        message.set_message_type(Gio.DBusMessageType.ERROR if error else Gio.DBusMessageType.METHOD_RETURN)
        message.set_reply_serial(serial)
        message.set_sender(sender)
        message.set_destination(ME)
        if error:
            message.set_error_name(error)
        self.piece(BUS, self.blob(message, 5, signature, body))

    def answer(self, call, sender, signature="", *body, error=None):
        """To the desk's own call with that number."""
        self.reply(0xFFFF0000 + call, sender, signature, *body, error=error)

    def signal(self, sender, path, interface, member, signature="", *body, to=None):
        message = Gio.DBusMessage.new_signal(path, interface, member)
        message.set_sender(sender)
        if to:
            message.set_destination(to)
        self.told += 1
        self.piece(BUS, self.blob(message, self.told, signature, body))

    def inbox(self, call, *numbers):
        rows = [(TEXT, number, "+491", "hi", 1798761599000, "line-a") for number in numbers]
        self.answer(call, CORE, "(a(oussxs)b)", rows, False)

    def start(self, modem=MODEM, listens="type='signal'"):
        self.app(2, DBUS, "/", DBUS, "AddMatch", "(s)", listens)
        self.app(3, MANAGER, MODEM, MESSAGING, "List")
        for call, owner in ((2, MM), (4, OFONO), (6, CORE)):
            self.answer(call, DBUS, "(s)", owner)
        self.answer(9, CORE, "(v)", GLib.Variant("b", True))
        self.inbox(10, 1)
        self.answer(11, CORE, "(a(so))", [("line-a", modem)])
        self.answer(12, CORE, f"(a{SENT})", [sent(OLD)])
        self.answer(13, CORE, "(ao)", [])
        self.wait()
        return self

    def objects(self):
        return {MODEM: {MESSAGING: {"Messages": GLib.Variant("ao", [SMS])}}}


SENT = "(oossbxss)"


def sent(sms, report=True):
    return (TEXT, sms, MM, "im-delivered", report, 1798761599000, "+492", "line-a")


OUTGOING_V = {name: GLib.Variant(*value) for name, value in OUTGOING.items()}
seeds = {}

seeds["hello"] = Seed()
seeds["start"] = Seed().start()
seeds["big-endian"] = Seed(Gio.DBusMessageByteOrder.BIG_ENDIAN).start()

reading = seeds["reading"] = Seed().start()
reading.app(20, MANAGER, MODEM, MESSAGING, "List")
reading.reply(20, MM, "(ao)", [SMS])
reading.app(21, MANAGER, OURS, PROPERTIES, "GetAll", "(s)", OBJECT)
reading.reply(21, MM)
reading.app(22, MANAGER, OURS, PROPERTIES, "Get", "(ss)", OBJECT, "Text")
reading.reply(22, MM)
reading.app(23, MANAGER, OURS, f"{DBUS}.Introspectable", "Introspect")
reading.reply(23, MM)
reading.app(24, MANAGER, "/org/freedesktop/ModemManager1", OBJECTS, "GetManagedObjects")
reading.reply(24, MM, "(a{oa{sa{sv}}})", reading.objects())
reading.app(25, MANAGER, MODEM, PROPERTIES, "GetAll", "(s)", MESSAGING)
reading.reply(25, MM, "(a{sv})", {"Messages": GLib.Variant("ao", [SMS])})
reading.app(26, MANAGER, MODEM, MESSAGING, "Delete", "(o)", OURS)
reading.answer(20, CORE)
reading.answer(21, MM, "(v)", GLib.Variant("ao", [SMS]))
reading.reply(26, MM)
reading.app(27, MANAGER, MODEM, MESSAGING, "Delete", "(o)", OURS)
reading.reply(27, MM)
reading.app(28, MANAGER, REPORT, PROPERTIES, "GetAll", "(s)", OBJECT)
reading.reply(28, MM)
reading.app(29, MANAGER, MODEM, MESSAGING, "Delete", "(o)", REPORT)
reading.answer(27, CORE)
reading.answer(28, MM, "(v)", GLib.Variant("ao", [SMS]))
reading.reply(29, MM)
reading.signal(CORE, "/org/shunt/Shunt1", "org.shunt.Shunt1.Door", "Settled", f"({SENT})", sent(OLD, False), to=ME)

for name, outcome in (("sent", "im"), ("let-go", "sms"), ("uncertain", None)):
    seed = seeds[name] = Seed().start()
    first = 16
    seed.app(20, MANAGER, SMS, OBJECT, "Send")
    # Where it is and what it says, asked in this order; then the core.
    for call in range(14, first):
        seed.answer(call, MM, "(a{sv})", OUTGOING_V) if call % 2 else seed.answer(call, MM, "(a{oa{sa{sv}}})", seed.objects())
    for call in range(first, first + 4):
        seed.answer(call, CORE, "(s)", "im")
        if outcome:
            seed.answer(call + 1, CORE, "(sso)", outcome, "online", TEXT)
        else:
            seed.answer(call + 1, CORE, "(s)", "why", error="org.shunt.Error.Uncertain")
    seed.reply(20, MM)
    seed.signal(CORE, "/org/shunt/Shunt1", "org.shunt.Shunt1.Door", "Settled", f"({SENT})", sent(SMS), to=ME)
    for call in range(first + 2, first + 6):
        seed.answer(call, MM, "(v)", GLib.Variant("ao", [SMS]))
    seed.app(21, MANAGER, SMS, PROPERTIES, "Get", "(ss)", OBJECT, "State")
    seed.reply(21, MM, "(v)", GLib.Variant("u", 0))
    seed.wait()

coming = seeds["coming"] = Seed().start()
coming.signal(CORE, "/org/shunt/Shunt1", "org.shunt.Shunt1.Messaging", "Received", "(oa{sv})", TEXT, {}, to=ME)
coming.inbox(14, 1, 2)
coming.answer(15, MM, "(v)", GLib.Variant("ao", [SMS]))
coming.signal(CORE, "/org/shunt/Shunt1", "org.shunt.Shunt1.Door", "LinesChanged", to=ME)
coming.signal(CORE, TEXT, "org.shunt.Shunt1.Messaging", "Changed", "(oa{sv})", TEXT, {"deleted": GLib.Variant("b", True)}, to=ME)
coming.wait()

twin = seeds["twin"] = Seed().start()
twin.signal(MM, MODEM, MESSAGING, "Added", "(ob)", SMS, True)
messages = {"Messages": GLib.Variant("ao", [SMS])}
twin.signal(MM, MODEM, PROPERTIES, "PropertiesChanged", "(sa{sv}as)", MESSAGING, messages, [])
twin.signal(MM, MODEM, MESSAGING, "Added", "(ob)", NEW, True)
for call, is_twin in ((14, True), (15, False)):
    twin.answer(call, MM, "(a{sv})", OUTGOING_V | {"Text": GLib.Variant("s", f"both ways{MARK}")})
    twin.answer(call + 2, CORE, "(bs)", is_twin, "both ways")
twin.signal(MM, MODEM, MESSAGING, "Deleted", "(o)", SMS)
twin.signal(MM, "/org/freedesktop/ModemManager1", OBJECTS, "InterfacesAdded", "(oa{sa{sv}})", MODEM, {MESSAGING: messages})
twin.signal(MM, "/org/freedesktop/ModemManager1", OBJECTS, "InterfacesRemoved", "(oas)", MODEM, [MESSAGING])
twin.signal(DBUS, "/org/freedesktop/DBus", DBUS, "NameOwnerChanged", "(sss)", "org.shunt.Shunt1", CORE, "")
twin.wait()

ofono = seeds["ofono"] = Seed().start("/phonesim")
ofono.app(20, "org.ofono", "/phonesim", "org.ofono.MessageManager", "SendMessage", "(ss)", "+492", "hello")
for call in range(15, 18):
    ofono.answer(call, CORE, "(s)", "im")
    ofono.answer(call + 1, CORE, "(sso)", "im", "online", TEXT)
ofono.reply(20, OFONO)
# A fallback SMS, another behind it, a twin, and one that the core does not judge.
for text in (f"one{MARK}", "two", f"twin{MARK}", f"three{MARK}"):
    details = {"Sender": GLib.Variant("s", "+491")}
    ofono.signal(OFONO, "/phonesim", "org.ofono.MessageManager", "IncomingMessage", "(sa{sv})", text, details)
ofono.answer(22, CORE, "(bs)", True, "twin")
ofono.answer(21, CORE, "(bs)", False, "one")
ofono.wait()

monitor = seeds["monitor"] = Seed().start()
monitor.app(20, DBUS, "/", f"{DBUS}.Monitoring", "BecomeMonitor", "(asu)", [], 0)
monitor.signal(MM, MODEM, MESSAGING, "Added", "(ob)", SMS, True)

# The desk has something to say to the bus while the app is in the middle of a message.
between = seeds["between"] = Seed().start()
long = Gio.DBusMessage.new_method_call("org.example", "/", "org.example", "Long")
blob = between.blob(long, 20, "(s)", ("x" * 500,))
between.piece(APP, blob[:300])
between.signal(CORE, "/org/shunt/Shunt1", "org.shunt.Shunt1.Door", "LinesChanged", to=ME)
between.piece(APP, blob[300:])
between.app(21, DBUS, "/", DBUS, "GetId")

for name, seed in seeds.items():
    with open(f"{sys.argv[1]}/{name}", "wb") as file:
        file.write(seed.bytes)
